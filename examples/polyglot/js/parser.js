// World `javascript`: interface `parser`. A thrown value that is no Error is the error of the result.

const MASK = (1n << 64n) - 1n;

// FNV-1a of the text's UTF-8.
function digest(text) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK;
  }
  return hash;
}

export const parser = {
  parse(text, format) {
    if (text === '') throw { tag: 'empty' };
    const headings = [];
    if (format === 'markdown') {
      for (const [, marks, title] of text.matchAll(/^(#+) +(.*)$/gmu)) {
        if (marks.length > 6) throw { tag: 'too-deep', val: marks.length };
        headings.push({ level: marks.length, text: title });
      }
    }
    // Latin letters; classes such as \p{L} are left out of the engine that componentize-js brings.
    const words = (text.match(/[0-9A-Za-z\u00c0-\u024f]+/g) ?? []).map((word) => word.toLowerCase());
    return { title: headings[0]?.text, headings, words, digest: digest(text) };
  },
};
