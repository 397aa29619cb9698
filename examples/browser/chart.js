// A curve of the last minute, in SVG, which takes its colors from the style sheet.

const SECONDS = 60;
const [WIDTH, HEIGHT] = [300, 96];
const TOP = 6;

const element = (name, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

export class Chart {
  #svg;
  #unit;
  #least;
  #points = []; // {time, value}; value is null where nothing came
  #marks = [];
  #scale;

  /** `unit` is for those who can't see it, `least` the least that the axis shows. */
  constructor(svg, unit, least) {
    this.#svg = svg;
    this.#scale = svg.parentElement.querySelector("small");
    this.#unit = unit;
    this.#least = least;
    this.name = svg.getAttribute("aria-label");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
  }

  add(time, value) {
    this.#points.push({ time, value });
    this.#points = this.#points.filter((point) => point.time > time - SECONDS);
  }

  /** Draws a line at a time at which something was done. */
  mark(time) {
    this.#marks.push(time);
  }

  draw(now) {
    this.#marks = this.#marks.filter((time) => time > now - SECONDS);
    const values = this.#points.map(({ value }) => value).filter((value) => value !== null);
    const most = Math.max(this.#least, ...values);
    this.#scale.textContent = Math.round(most);
    const x = (time) => (WIDTH * (1 - (now - time) / SECONDS)).toFixed(1);
    const y = (value) => (HEIGHT - ((HEIGHT - TOP) * value) / most).toFixed(1);
    const base = HEIGHT - 0.5;
    this.#svg.replaceChildren(
      element("line", { class: "rule", x1: 0, x2: WIDTH, y1: base, y2: base }),
      element("line", { class: "rule", x1: 0, x2: WIDTH, y1: TOP, y2: TOP }),
      ...this.#runs().flatMap((run) => {
        const curve = run.map(({ time, value }) => `${x(time)},${y(value)}`).join(" ");
        const [first, last] = [run[0], run[run.length - 1]].map(({ time }) => x(time));
        return [
          element("polygon", { class: "area", points: `${first},${HEIGHT} ${curve} ${last},${HEIGHT}` }),
          element("polyline", { class: "curve", points: curve }),
        ];
      }),
      ...this.#marks.map((time) => element("line", { class: "mark", x1: x(time), x2: x(time), y1: 0, y2: base })),
    );
    this.#tell(values);
  }

  /** Returns the stretches without a gap. */
  #runs() {
    const runs = [[]];
    for (const point of this.#points) {
      if (point.value === null) runs.push([]);
      else runs[runs.length - 1].push(point);
    }
    return runs.filter((run) => run.length > 1);
  }

  #tell(values) {
    if (!values.length) return;
    const [low, high] = [Math.min(...values), Math.max(...values)].map(Math.round);
    const text = `${this.name} in the last minute: ${low} to ${high} ${this.#unit}`;
    if (this.#svg.getAttribute("aria-label") !== text) this.#svg.setAttribute("aria-label", text);
  }
}
