// The words of lines: when each is spoken, how sure the model was of it, and which characters of the line it is.
// Ten hours have 100,000 of them, so those of a part of the transcript are read when they are needed.

import {request} from "./api.js";

const UNSURE = 0.5;

export class Words {
  #address;
  #of = new Map(); // index of a line: its words, or null if their times are not known
  #unsure = new Set(); // indexes of lines without words that the model was unsure of
  #reading = new Map(); // index of the first line of a part: its request

  /** `address` gives pages of segments; it has a query. */
  constructor(address) {
    this.#address = address;
  }

  /** Those of the line with this index; null: their times are not known; undefined: not read yet. */
  of(index) {
    return this.#of.get(index);
  }

  /** The characters of this line, of so many, that the model was unsure of: of its words, or all if it has none. */
  unsure(index, length) {
    const words = this.#of.get(index);
    if (words) return words.unsure;
    return this.#unsure.has(index) ? [[0, length]] : [];
  }

  /** Take those of a segment of the API. */
  put(segment) {
    this.#of.set(segment.index, segment.words?.length ? new LineWords(segment) : null);
    if (Math.exp(segment.avg_logprob) < UNSURE) this.#unsure.add(segment.index);
    else this.#unsure.delete(segment.index);
  }

  /** Read those of the lines from the first to the last of these indexes, once. */
  async read(first, last) {
    if (!this.#reading.has(first)) this.#reading.set(first, this.#read(first, last));
    await this.#reading.get(first);
  }

  async #read(first, last) {
    try {
      const {segments} = await request(`${this.#address}&after=${first - 1}&limit=${last - first + 1}`);
      segments.forEach((segment) => this.put(segment));
    } catch {
      this.#reading.delete(first); // the next need tries again
    }
  }

  /** Forget those of the lines from this index on: they have changed. */
  forget(index) {
    for (const known of [...this.#of.keys()]) if (known >= index) this.#of.delete(known);
    this.#reading.clear();
  }
}

class LineWords {
  /** Each word is found in the text of its line; one that is not there has no place. */
  constructor({text, words}) {
    this.starts = Float64Array.from(words, (word) => word.start);
    let behind = 0;
    this.places = words.map(({word}) => {
      const said = word.trim();
      const from = said ? text.indexOf(said, behind) : -1;
      if (from < 0) return null;
      behind = from + said.length;
      return [from, behind];
    });
    this.unsure = this.places.filter((place, number) => place && words[number].probability < UNSURE);
  }

  /** The number of the word that is spoken, or was last; -1 before the first. */
  at(seconds) {
    return lastAtOrBefore(this.starts, seconds);
  }

  /** When the word begins that this character belongs to. */
  startAt(character) {
    const number = this.places.findIndex((place) => place && character < place[1] + 1);
    return this.starts[number < 0 ? this.starts.length - 1 : number];
  }
}

/** Where in these ordered numbers the last one is that is not above `value`; -1 if all are. */
export function lastAtOrBefore(numbers, value, length = numbers.length) {
  let below = 0, above = length;
  while (below < above) {
    const middle = (below + above) >> 1;
    if (numbers[middle] <= value) below = middle + 1;
    else above = middle;
  }
  return below - 1;
}
