// Where in a text the words are that a voice reads: "five" stands where the text has a 5.

const LOOK_AHEAD = 8; // words of the text, of which some may be read as none, such as a dash

const plain = (word) => word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

export class WordMap {
  /** The text may grow. */
  constructor(text = "") {
    this.next = 0; // where the search for the next word begins
    this.append(text);
  }

  append(text) {
    this.text = (this.text ?? "") + text;
    this.places = [...this.text.matchAll(/\S+/g)].map((match) => ({
      start: match.index,
      end: match.index + match[0].length,
      plain: plain(match[0]),
    }));
  }

  /** Place {start, end} in the text of the next word that is read; null where there is none. */
  find(word) {
    const wanted = plain(word);
    const ahead = this.places.slice(this.next, this.next + LOOK_AHEAD);
    const found = ahead.findIndex((place) => place.plain === wanted);
    if (found < 0) return this.places[this.next] ?? null; // read otherwise than it is written
    this.next += found + 1;
    return ahead[found];
  }
}
