// What stands in an ONNX file beside its graph; onnxruntime-web does not tell.

const [METADATA_PROPS, KEY, VALUE] = [14, 1, 2]; // numbers of fields of ModelProto and StringStringEntryProto

/** The metadata of an ONNX file as an object of strings; empty for files of other kinds. */
export function readMetadata(bytes) {
  const metadata = {};
  const text = new TextDecoder();
  for (const [field, entry] of readFields(bytes)) {
    if (field !== METADATA_PROPS) continue;
    const texts = Object.fromEntries(readFields(entry));
    metadata[text.decode(texts[KEY])] = text.decode(texts[VALUE]);
  }
  return metadata;
}

/** Numbers and bytes of those fields of a protocol buffer that have a length. */
function* readFields(bytes) {
  let at = 0;
  const readVarint = () => {
    let [value, scale, byte] = [0, 1, 0];
    do {
      byte = bytes[at++];
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte & 128);
    return value;
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const value = readVarint();
    if ((tag & 7) === 2) {
      yield [tag >> 3, bytes.subarray(at, at + value)];
      at += value;
    } else if ((tag & 7) !== 0) return; // no other type is in an ONNX model
  }
}
