// What the browser says, in Chinese (simplified), by its English. Between the braces this is JSON, which
// Python reads, too.

export const CHINESE = {
  "English": "英语"
};
