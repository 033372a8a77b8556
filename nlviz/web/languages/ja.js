// What the browser says, in Japanese, by its English. Between the braces this is JSON, which Python
// reads, too.

export const JAPANESE = {
  "English": "英語"
};
