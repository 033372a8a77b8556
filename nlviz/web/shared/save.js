// Entry of a third, invisible Streamlit component: hands a file to the browser, and says so.
// data: u32 length of a JSON header {name, mime, serial} | header | bytes of the file. A file whose
// serial was seen is not saved again: reruns repeat it until they hear that it was.

/** @returns {Set<string>} serials of the files that were saved; survives script reloads */
const handed = () => {
  window.__nlvizSaved ??= new Set();
  return window.__nlvizSaved;
};

export default function ({ data, setStateValue }) {
  if (!data?.byteLength) return;
  const length = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
  const { name, mime, serial } = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + length)));
  if (!handed().has(serial)) {
    handed().add(serial);
    const url = URL.createObjectURL(new Blob([data.slice(4 + length)], { type: mime }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
  setStateValue("saved", serial);
}
