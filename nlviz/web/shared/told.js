// What Python tells a component in JSON that comes as bytes: in a dictionary Streamlit
// looks for tables, and loads pandas for it before the first view is on the screen.

/** @param {Uint8Array|any} data */
export function told(data) {
  return data?.byteLength ? JSON.parse(new TextDecoder().decode(data)) : data;
}
