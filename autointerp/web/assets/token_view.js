// Tokens in a row, coloured by one linear scale: what `token_rows.py` does, for what was just read.

const NAMED = { "\n": "↵", "\t": "⇥", "\r": "␍" };
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

/** What stands for a token: nothing invisible, nothing that changes the direction. */
export function shown(token) {
  if (!token) return "∅";
  if (!token.trim() && /^ +$/.test(token)) return "·".repeat(token.length);
  return token.replace(HIDDEN, (one) => NAMED[one] ?? (one === "\u200d" ? one : written(one)));
}

const written = (one) => `\\u${one.codePointAt(0).toString(16).padStart(4, "0")}`;

/** Three digits of an activation. */
export const short = (value) => String(Number(value.toPrecision(3)));

/** `5:131` of a neuron behind its activation function, else with the hook point. */
export const unitName = ({ hook, layer, index }) => `${/^blocks\.\d+\.mlp\.hook_(post|mid)$/.test(hook) ? layer : hook}:${index}`;

/** Where the greatest value stands. */
export const peakOf = (values) => values.reduce((at, value, i) => (value > values[at] ? i : at), 0);

/** The cell of a token: its level as a class, its figures as a tip, the greatest underlined. */
export function cell({ tokens, ids, values }, i, scale) {
  const one = document.createElement("i");
  const level = Math.round(10 * Math.min(1, Math.max(0, values[i] / scale)));
  if (level) one.classList.add(`a${level}`);
  if (i === peakOf(values) && values[i] > 0) one.classList.add("peak");
  one.textContent = shown(tokens[i]);
  one.title = `${JSON.stringify(tokens[i])}; id ${ids[i]}; position ${i}; activation ${short(values[i])}`;
  return one;
}

/** Puts the cells of a reading in place of what a row showed. */
export const fill = (row, reading, scale) =>
  row.replaceChildren(...reading.tokens.map((_, i) => cell(reading, i, scale)));
