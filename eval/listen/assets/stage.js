// Sounds to switch between at one position, and who has been heard.

class Stage {
  /**
   * Sounds are [{ name, label, key }]: a blob of the page, a button's text and the key that presses it.
   * `onheard` is called with the number of those that have not been played yet.
   */
  constructor(sounds, onheard) {
    this.unheard = new Set(sounds.keys());
    this.keys = sounds.map(({ key }) => key);
    this.onheard = onheard;
    this.buttons = sounds.map(({ label }, i) => this.#button(label, i));
    this.bar = el("div", { class: "position", onclick: (event) => this.#seek(event) }, el("i", {}));
    const setLoop = (event) => this.player.loop(event.target.checked);
    const loop = el("input", { type: "checkbox", checked: true, onchange: setLoop });
    this.controls = el("div", { class: "controls" },
      this.bar, el("label", { class: "field" }, loop, "Loop"),
      el("span", { class: "muted small" }, `Keys ${this.keys.join(" ")} switch, space pauses.`));
    this.player = new Player([], (playing) => this.#show(playing));
    this.ready = this.#load(sounds);
    this.onkey = (event) => this.#press(event);
    addEventListener("keydown", this.onkey);
  }

  close() {
    this.player.pause();
    removeEventListener("keydown", this.onkey);
  }

  async #load(sounds) {
    this.player.buffers = await Promise.all(sounds.map(({ name }) => decodeBlob(name)));
    this.player.loop(true);
    for (const button of this.buttons) button.disabled = false;
  }

  #button(label, i) {
    const toggle = () => this.#toggle(i);
    return el("button", { class: "sound", disabled: true, "aria-pressed": "false", onclick: toggle }, label);
  }

  #toggle(i) {
    this.player.toggle(i);
    this.unheard.delete(i);
    this.buttons[i].classList.add("heard");
    this.onheard(this.unheard.size);
  }

  #seek(event) {
    const position = (event.offsetX / this.bar.clientWidth) * this.player.duration;
    if (this.player.playing === null) this.player.offset = position;
    else this.player.play(this.player.playing, position);
    this.#follow();
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const i = this.keys.indexOf(event.key.toUpperCase());
    if (event.key === " " && this.player.playing !== null) {
      event.preventDefault();
      this.player.pause();
    } else if (i >= 0 && this.player.playing !== i && !this.buttons[i].disabled) this.#toggle(i);
  }

  #show(playing) {
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === playing)));
    this.#follow();
  }

  #follow() {
    this.bar.style.setProperty("--at", this.player.position / this.player.duration || 0);
    if (this.player.playing !== null) requestAnimationFrame(() => this.#follow());
  }
}
