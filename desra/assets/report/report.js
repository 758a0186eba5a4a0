"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const compared = data.after !== null;

  // ------------------------------------------------------------------- building

  const SVG = "http://www.w3.org/2000/svg";

  /** Fills an element. Text comes as children, so names of images are never read as HTML. */
  function filled(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  const el = (tag, attributes = {}, ...children) =>
    filled(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    filled(document.createElementNS(SVG, tag), attributes, children);

  function button(text, action, attributes = {}) {
    const node = el("button", { type: "button", ...attributes }, text);
    node.addEventListener("click", action);
    return node;
  }

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const integer = (value) => value.toLocaleString("en");
  const percent = (share) => `${(100 * share).toFixed(2)} %`;
  const plural = (count, noun) => `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;

  // --------------------------------------------------------------------- viewer

  const STEP = 5; // percent of the width that an arrow key moves the wipe
  const WIPE_KEYS = { ArrowLeft: -STEP, ArrowRight: STEP };
  const CLICK = 4; // pixels that a pointer may move within a click

  /** Two pictures of one image, the second wiped over the first from the right. */
  class Viewer {
    constructor(image, first, second, zoom) {
      const [height, width] = image.size;
      this.zoom = zoom;
      this.sides = [first, second];
      this.stages = this.sides.map(() => el("div", { class: "stage" }));
      this.range = el("input", {
        type: "range", min: 0, max: 100, step: 0.1,
        "aria-label": `${first.name} against ${second.name}, ${image.name}`,
      });
      this.range.addEventListener("input", () => this.moveTo(Number(this.range.value)));
      this.range.addEventListener("keydown", (event) => {
        const step = WIPE_KEYS[event.key];
        if (!step) return;
        event.preventDefault();
        event.stopPropagation(); // else it would move all viewers of the image
        this.moveTo(this.position + step);
      });
      const layers = this.sides.map((side, i) =>
        el("div", { class: "side" }, this.stages[i], el("span", { class: "name" }, side.name)));
      this.level = el("span", { class: "level" });
      this.node = el("div", { class: "viewer" }, ...layers, this.range,
        el("div", { class: "wipe" }), this.level);
      this.node.style.setProperty("--ratio", width / height);
      this.size = [width, height];
      this.moveTo(50);
      this.listen();
    }

    /** Put the pictures in: only when the viewer comes near the window. */
    load() {
      this.sides.forEach((side, i) => {
        const picture = (kind, url, alt) =>
          el("img", { class: kind, src: url, alt, loading: "lazy", decoding: "async", draggable: "false" });
        this.stages[i].append(
          picture("picture", side.picture, side.name),
          picture("map", side.map, "map D"),
          outline(this.size, side.outline));
      });
    }

    moveTo(cut) {
      this.position = clamp(cut, 0, 100);
      this.range.value = this.position;
      this.node.style.setProperty("--cut", `${this.position}%`);
      this.range.setAttribute("aria-valuetext",
        `${Math.round(this.position)} % ${this.sides[0].name}`);
    }

    /** Where a pointer is, as fractions of the viewer. */
    place(event) {
      const box = this.node.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    }

    listen() {
      let last = null;
      let moved = false;
      let wiping = false;
      this.node.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        last = [event.clientX, event.clientY];
        moved = false;
        wiping = !this.zoom.active || event.target.classList.contains("wipe");
        this.node.setPointerCapture(event.pointerId);
      });
      this.node.addEventListener("pointermove", (event) => {
        if (last === null) return;
        const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
        if (!moved && Math.hypot(dx, dy) < CLICK) return;
        moved = true;
        if (wiping) {
          this.moveTo(100 * this.place(event)[0]);
        } else {
          this.zoom.pan(dx / this.node.clientWidth, dy / this.node.clientHeight);
          last = [event.clientX, event.clientY];
        }
      });
      this.node.addEventListener("pointerup", (event) => {
        if (last !== null && !moved) this.zoom.next(this.zoom.under(this.place(event)));
        last = null;
      });
      this.node.addEventListener("pointercancel", () => { last = null; });
    }
  }

  function outline([width, height], path) {
    return svg("svg", {
      class: "outline", viewBox: `-0.5 -0.5 ${width} ${height}`, "aria-hidden": "true",
    }, svg("path", { class: "halo", d: path }), svg("path", { class: "edge", d: path }));
  }

  /** What part of an image is seen, in all viewers of its card alike. */
  class Zoom {
    constructor(card, image) {
      this.card = card;
      this.shown = image.shown;
      [this.scale, this.x, this.y] = [1, 0, 0];
    }

    get active() {
      return this.scale > 1;
    }

    /** Screen pixels for a pixel of the picture when all of it is seen. */
    get fit() {
      return this.card.querySelector(".viewer").clientWidth / this.shown[1];
    }

    /** The magnifications offered: the next two that are larger than the fitted one. */
    get levels() {
      return [1, 2, 4, 8].filter((level) => level > 1.2 * this.fit).slice(0, 2);
    }

    /** The next magnification; undefined at the last. */
    get larger() {
      return this.levels.find((level) => level / this.fit > 1.01 * this.scale);
    }

    /** The point of the image, as fractions, at a place of the viewer. */
    under([x, y]) {
      return [(x - this.x) / this.scale, (y - this.y) / this.scale];
    }

    reset() {
      [this.scale, this.x, this.y] = [1, 0, 0];
      this.show(null);
    }

    /** One level further in around a point; from the last level out again. */
    next(point) {
      const level = this.larger;
      if (level) this.to(point, level);
      else this.reset();
    }

    to([x, y], level) {
      this.scale = level / this.fit;
      this.x = this.y = 0.5;
      this.pan(-x * this.scale, -y * this.scale);
      this.show(level);
    }

    pan(dx, dy) {
      this.x = clamp(this.x + dx, 1 - this.scale, 0);
      this.y = clamp(this.y + dy, 1 - this.scale, 0);
      this.place();
    }

    place() {
      const style = this.card.style;
      style.setProperty("--x", this.x);
      style.setProperty("--y", this.y);
      style.setProperty("--zoom", this.scale);
    }

    show(level) {
      this.place();
      this.card.classList.toggle("zoomed", this.active);
      this.card.classList.toggle("pixels", level >= 2);
      const larger = this.larger;
      for (const pill of this.card.querySelectorAll(".level")) {
        pill.textContent = level ? `${level}:1 · click for ${larger ? `${larger}:1` : "all"}` : "";
      }
    }
  }

  // ----------------------------------------------------------------------- card

  /** An image of the list. */
  class Card {
    constructor(image, rank) {
      this.image = image;
      this.loaded = false;
      this.node = el("article", { class: "card", tabindex: -1, "aria-label": image.name });
      this.zoom = new Zoom(this.node, image);
      this.viewers = pairs(image).map(([first, second]) =>
        new Viewer(image, first, second, this.zoom));
      this.node.append(
        el("div", { class: "card-head" },
          el("h3", {}, el("span", { class: "rank" }, `${rank} `), image.name), ...badges(image)),
        facts(image),
        el("div", { class: "figures" }, ...this.viewers.map((viewer) =>
          el("figure", {},
            el("figcaption", {}, viewer.sides.map((side) => side.long).join(" | ")), viewer.node))),
        ...this.regions(), ...scores(image));
      const [height, width] = image.size;
      const guess = 220 + Math.min(600 * height / width, 560);
      this.node.style.setProperty("contain-intrinsic-size", `auto 600px auto ${Math.round(guess)}px`);
    }

    load() {
      if (this.loaded) return;
      this.loaded = true;
      this.viewers.forEach((viewer) => viewer.load());
    }

    regions() {
      const { regions, before, after, added } = this.image;
      if (!regions.length) return [];
      const items = regions.map((region, i) => {
        const [, , width, height] = region.box;
        const go = button(`${i + 1}: ${integer(region.pixels)} px `, () => this.zoomTo(region), {
          title: "Zoom to this region; click again for more",
        });
        go.append(el("span", { class: "size" }, `${width} × ${height} `));
        if (region.state) {
          const words = { removed: "removed", left: "still there", added: "new" };
          go.append(el("span", { class: region.state }, words[region.state]));
        }
        return el("li", {}, go);
      });
      const more = before.regions + (after ? added : 0) - regions.length;
      if (more > 0) items.push(el("li", { class: "faint" }, `and ${more} smaller`));
      return [el("ul", { class: "regions", "aria-label": "Artifact regions, largest first" }, ...items)];
    }

    zoomTo(region) {
      const [x, y, width, height] = region.box;
      const [all_height, all_width] = this.image.size;
      this.zoom.next([(x + width / 2) / all_width, (y + height / 2) / all_height]);
    }

    zoomToWorst() {
      if (this.image.regions.length) this.zoomTo(this.image.regions[0]);
      else this.zoom.next([0.5, 0.5]);
    }

    wipeBy(step) {
      this.viewers.forEach((viewer) => viewer.moveTo(viewer.position + step));
    }
  }

  /** The sides of each viewer of an image. */
  function pairs(image) {
    const { pictures, outline, outline_after } = image;
    const before = { map: pictures.map, outline };
    const gan = { ...before, name: "GAN", long: "GAN-SR", picture: pictures.gan };
    const mse = { ...before, name: "MSE", long: "MSE-SR, the reference", picture: pictures.mse };
    if (!compared) return [[gan, mse]];
    return [
      [
        { ...gan, name: "Before", long: "GAN-SR before finetuning" },
        { name: "After", long: "after", picture: pictures.after, map: pictures.map_after, outline: outline_after },
      ],
      [{ ...gan, long: "GAN-SR before finetuning" }, mse],
    ];
  }

  function badges(image) {
    const badge = (kind, text) => el("span", { class: `badge ${kind}` }, text);
    const { before, after, removed, added } = image;
    if (!after) {
      return [before.regions ? badge("bad", plural(before.regions, "region"))
        : badge("plain", "nothing found")];
    }
    const found = [];
    if (removed) found.push(badge("good", `${removed} of ${before.regions} removed`));
    if (before.regions > removed) found.push(badge("bad", `${before.regions - removed} still there`));
    if (added) found.push(badge("bad", `${added} new`));
    const remnants = after.regions - added;
    if (remnants && before.regions === removed) found.push(badge("plain", plural(remnants, "remnant")));
    return found.length ? found : [badge("plain", "nothing found")];
  }

  function facts(image) {
    const { before, after, size, shown } = image;
    const change = (show, what) =>
      [before, after].filter(Boolean).map((state) => show(state[what])).join(" → ");
    const D = (value) => (value === null ? "-" : value.toFixed(3));
    const rows = [
      ["Masked", change(percent, "share")],
      ["Regions", change(integer, "regions")],
      ["Mean D", change(D, "mean_D")],
    ];
    if (image.psnr_outside !== null) rows.push(["PSNR outside", `${image.psnr_outside.toFixed(1)} dB`]);
    rows.push(["Size", `${size[1]} × ${size[0]}`]);
    if (shown[1] < size[1]) rows.push(["Shown as", `${shown[1]} × ${shown[0]}`]);
    if (image.notes.length) rows.push(["Input", image.notes.join(", ")]);
    return el("dl", { class: "facts" }, ...rows.map(([name, value]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  function scores(image) {
    if (!image.scores.length) return [];
    return [el("details", {}, el("summary", {}, "All scores of this image"),
      table({ columns: ["", "value"], rows: image.scores }))];
  }

  // ----------------------------------------------------------------------- list

  const changed = (image) => image.removed > 0 || image.added > 0;
  const found = (image) => image.before.regions > 0 || (compared && image.after.regions > 0);
  const FILTERS = {
    "All": () => true,
    "With artifacts": found,
    ...(compared && {
      "Removed": (image) => image.removed > 0,
      "Still there": (image) => image.before.regions > image.removed,
      "Added": (image) => image.added > 0,
      "Unchanged": (image) => found(image) && !changed(image),
    }),
    "Without artifacts": (image) => !found(image),
  };

  // Each gives the number or text to sort by, smallest first.
  const SORTS = {
    "worst first": (image) => -image.before.share,
    ...(compared && { "worst after": (image) => -image.after.share }),
    "most regions": (image) => -image.before.regions,
    "lowest mean D": (image) => image.before.mean_D,
    ...(compared && {
      "most removed": (image) => -image.removed,
      "most added": (image) => -image.added,
    }),
    ...(data.images.some((image) => image.psnr_outside !== null) && {
      "most changed outside (PSNR)": (image) => image.psnr_outside,
    }),
    "name": (image) => image.name,
  };

  /** Smallest first, what is not defined last; a stable sort keeps worst first among equals. */
  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
  }

  /** The images: filter, sort, and the keys that go from one to the next. */
  class List {
    constructor() {
      this.cards = data.images.map((image, i) => new Card(image, i + 1));
      this.current = null;
      this.chosen = "All";
      this.reversed = false;
      this.count = el("span", { class: "faint", role: "status" });
      this.body = el("div");
      this.search = el("input", { type: "search", placeholder: "Find by name", "aria-label": "Find by name" });
      this.search.addEventListener("input", () => this.update());
      this.filters = Object.entries(FILTERS).map(([name, test]) =>
        button(`${name} (${data.images.filter(test).length})`, () => this.choose(name), { "data-filter": name }));
      this.sort = el("select", { "aria-label": "Sort" },
        ...Object.keys(SORTS).map((name) => el("option", { value: name }, `Sort: ${name}`)));
      this.sort.addEventListener("change", () => this.update());
      this.direction = button("Reverse", () => {
        this.reversed = !this.reversed;
        this.update();
      });
      this.mask = button("Mask", () => this.toggle("mask"), { "aria-pressed": "true", "aria-keyshortcuts": "m" });
      this.map = button("Map D", () => this.toggle("map"), { "aria-pressed": "false", "aria-keyshortcuts": "d" });
      this.node = el("section", { class: "show-mask", "aria-label": "Images" }, this.controls(), this.bar(), this.body);
      this.observe();
      this.update();
    }

    controls() {
      return el("div", { class: "filters" },
        el("div", { class: "row chips" }, ...this.filters),
        el("div", { class: "row" }, this.search, this.sort, this.direction),
        el("p", { class: "faint" }, "Drag across a picture to slide, click or tap it to zoom; "
          + "the buttons below it go to its artifact regions."));
    }

    bar() {
      const keys = [["j", "k"], "next, previous image", ["←", "→"], "slide", ["m"], "mask",
        ["d"], "map", ["z"], "zoom to the worst", ["/"], "find"];
      const help = el("span", { class: "faint keys" }, ...keys.flatMap((item) =>
        Array.isArray(item) ? item.flatMap((key) => [el("kbd", {}, key), " "]) : [`${item}   `]));
      const legend = el("span", { class: "legend-map faint" }, "artifact", el("i"), "alike");
      return el("div", { class: "bar row" }, this.mask, this.map, legend, help,
        el("span", { class: "end row" }, this.count,
          button("↑", () => this.step(-1), { "aria-label": "Previous image" }),
          button("↓", () => this.step(1), { "aria-label": "Next image" })));
    }

    observe() {
      const cards = new Map(this.cards.map((card) => [card.node, card]));
      const near = new IntersectionObserver((entries) => {
        for (const { isIntersecting, target } of entries) if (isIntersecting) cards.get(target).load();
      }, { rootMargin: "100% 0px" });
      this.cards.forEach((card) => near.observe(card.node));
      this.body.addEventListener("focusin", (event) => {
        this.current = cards.get(event.target.closest(".card"));
      });
      let width = window.innerWidth;
      window.addEventListener("resize", () => {
        if (window.innerWidth === width) return; // a phone's address bar comes and goes
        width = window.innerWidth;
        this.cards.filter((card) => card.zoom.active).forEach((card) => card.zoom.reset());
      });
    }

    choose(name) {
      this.chosen = name;
      this.update();
    }

    update() {
      const words = this.search.value.trim().toLowerCase();
      const key = SORTS[this.sort.value];
      this.shown = this.cards
        .filter(({ image }) => FILTERS[this.chosen](image) && image.name.toLowerCase().includes(words))
        .sort((a, b) => compare(key(a.image), key(b.image)));
      if (this.reversed) this.shown.reverse();
      this.body.replaceChildren(...(this.shown.length ? this.shown.map((card) => card.node)
        : [el("p", { class: "empty" }, "No image fits.")]));
      this.count.textContent = `${this.shown.length} of ${plural(this.cards.length, "image")}`;
      this.direction.setAttribute("aria-pressed", this.reversed);
      this.filters.forEach((node) =>
        node.setAttribute("aria-pressed", node.dataset.filter === this.chosen));
    }

    toggle(what) {
      const shown = this.node.classList.toggle(`show-${what}`);
      this[what].setAttribute("aria-pressed", shown);
    }

    /** The card that keys act on: the focused one, else the first that is seen. */
    get acting() {
      if (this.shown.includes(this.current)) return this.current;
      return this.shown.find((card) => card.node.getBoundingClientRect().bottom > 120);
    }

    step(by) {
      const at = this.shown.indexOf(this.current);
      const next = at < 0 ? this.acting : this.shown[clamp(at + by, 0, this.shown.length - 1)];
      if (!next) return;
      next.load();
      next.node.focus({ preventScroll: true });
      next.node.scrollIntoView({ block: "start" });
    }

    /** What a key does; true if it does something. */
    key(name) {
      if (name === "j") this.step(1);
      else if (name === "k") this.step(-1);
      else if (name === "m") this.toggle("mask");
      else if (name === "d") this.toggle("map");
      else if (name === "/") this.search.focus();
      else if (name === "z") this.acting?.zoomToWorst();
      else if (name in WIPE_KEYS) this.acting?.wipeBy(WIPE_KEYS[name]);
      else if (name === "Escape") this.cards.forEach((card) => card.zoom.active && card.zoom.reset());
      else return false;
      return true;
    }
  }

  // ----------------------------------------------------------- tables and curves

  const cell = (value) => {
    if (value === null) return "-";
    if (typeof value !== "number") return String(value);
    return Number.isInteger(value) ? integer(value) : String(Number(value.toPrecision(4)));
  };

  function table({ columns, rows }) {
    return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" },
      el("table", {},
        el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, ...rows.map((row) =>
          el("tr", {}, ...row.map((value) => el("td", {}, cell(value))))))));
  }

  /** Round numbers from below the lowest to above the highest value. */
  function ticks(values) {
    let low = values.reduce((a, b) => Math.min(a, b));
    let high = values.reduce((a, b) => Math.max(a, b));
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    const least = values.every(Number.isInteger) ? 1 : 0; // no half rounds
    const raw = Math.max((high - low) / 5, least);
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = unit * [1, 2, 2.5, 5, 10].find((factor) => factor * unit >= raw * 0.999);
    const first = Math.floor(low / step + 1e-9);
    const last = Math.ceil(high / step - 1e-9);
    return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }

  const [CHART_WIDTH, CHART_HEIGHT] = [480, 300];
  const MARGIN = { left: 56, right: 16, top: 10, bottom: 44 };
  const MARKED = 40; // points of a series that still get a mark each
  const COLOURS = 6;

  function chart(curve) {
    const points = curve.series.map(({ x, y }) => x.map((value, i) => [value, y[i]]));
    const known = points.flat().filter(([x, y]) => x !== null && y !== null);
    if (!known.length) return el("figure", { class: "chart" }, el("figcaption", {}, `${curve.title}: no values`));
    const [along, up] = [0, 1].map((i) => ticks(known.map((point) => point[i])));
    const scale = (marks, start, end) => (value) =>
      start + (end - start) * (value - marks[0]) / (marks[marks.length - 1] - marks[0]);
    const [left, right] = [MARGIN.left, CHART_WIDTH - MARGIN.right];
    const [top, bottom] = [MARGIN.top, CHART_HEIGHT - MARGIN.bottom];
    const [toX, toY] = [scale(along, left, right), scale(up, bottom, top)];
    const picture = svg("svg", { viewBox: `0 0 ${CHART_WIDTH} ${CHART_HEIGHT}`, role: "img", "aria-label": curve.title });
    for (const mark of along) {
      picture.append(
        svg("line", { class: "grid", x1: toX(mark), x2: toX(mark), y1: top, y2: bottom }),
        svg("text", { x: toX(mark), y: bottom + 17, "text-anchor": "middle" }, cell(mark)));
    }
    for (const mark of up) {
      picture.append(
        svg("line", { class: "grid", x1: left, x2: right, y1: toY(mark), y2: toY(mark) }),
        svg("text", { x: left - 8, y: toY(mark) + 4, "text-anchor": "end" }, cell(mark)));
    }
    picture.append(
      svg("text", { x: (left + right) / 2, y: CHART_HEIGHT - 6, "text-anchor": "middle" }, curve.x),
      svg("text", { x: -(top + bottom) / 2, y: 13, "text-anchor": "middle", transform: "rotate(-90)" }, curve.y));
    points.forEach((line, i) => picture.append(...series(line, curve.series[i].name, i, toX, toY)));
    const figure = el("figure", { class: "chart" }, el("figcaption", {}, curve.title), picture);
    if (curve.series.length === 1) return figure; // the axis says what it is
    figure.append(el("ul", { class: "legend" }, ...curve.series.map(({ name }, i) =>
      el("li", {}, svg("svg", { viewBox: "0 0 26 10" },
        svg("line", { class: `line series-${i % COLOURS}`, x1: 0, x2: 26, y1: 5, y2: 5 })), name))));
    return figure;
  }

  function series(points, name, number, toX, toY) {
    let pen = "M"; // lifted at a gap
    const path = [];
    const marks = [];
    for (const [x, y] of points) {
      if (x === null || y === null) {
        pen = "M";
        continue;
      }
      path.push(`${pen}${toX(x).toFixed(1)},${toY(y).toFixed(1)}`);
      pen = "L";
      marks.push(svg("circle", { class: `series-${number % COLOURS}`, cx: toX(x), cy: toY(y), r: 3 },
        svg("title", {}, `${name}: ${cell(x)}, ${cell(y)}`)));
    }
    const line = svg("path", { class: `series-${number % COLOURS} line`, d: path.join("") });
    return points.length <= MARKED ? [line, ...marks] : [line];
  }

  function tablePanel(content) {
    const panel = el("section", { class: "panel" }, el("h2", {}, content.title));
    if (content.note) panel.append(el("p", { class: "faint" }, content.note));
    if (content.rows.length) panel.append(table(content));
    if (content.curves.length) panel.append(el("div", { class: "charts" }, ...content.curves.map(chart)));
    return panel;
  }

  function settings() {
    const about = [
      ["Before", data.before],
      ["After", data.after],
      ["Pictures", data.quality === 100 ? "WebP, lossless" : `WebP of quality ${data.quality}, made for looking at`],
    ].filter(([, value]) => value !== null);
    return [
      el("section", { class: "panel" }, el("h2", {}, "About this report"),
        el("dl", { class: "facts" }, ...about.map(([name, value]) =>
          el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
        el("p", { class: "faint" }, "Map D: dark violet where the texture of GAN-SR and MSE-SR differs (an artifact), "
          + "yellow where it is alike. A region counts as removed when less than half of it is still detected; what is left of it is a remnant.")),
      ...data.settings.map(({ name, text }) =>
        el("section", { class: "panel" }, el("h2", {}, name), el("pre", { tabindex: 0 }, text))),
    ];
  }

  // ----------------------------------------------------------------------- page

  function tabs(panels) {
    const heads = panels.map(([name]) => button(name, () => open(name), { role: "tab", "data-tab": name }));
    const bodies = panels.map(([name, node]) => el("div", { role: "tabpanel", "aria-label": name }, node));
    function open(name) {
      panels.forEach(([other], i) => {
        heads[i].setAttribute("aria-selected", other === name);
        bodies[i].hidden = other !== name;
      });
    }
    open(panels[0][0]);
    return [el("div", { class: "tabs row", role: "tablist" }, ...heads), ...bodies];
  }

  function tiles() {
    return el("dl", { class: "tiles" }, ...data.summary.map(({ label, value, note }) =>
      el("div", { class: "tile" }, el("dt", {}, label), el("dd", { class: "value" }, value),
        el("dd", { class: "faint" }, note))));
  }

  const list = new List();
  const panels = [["Images", list.node]];
  if (data.tables.length) panels.push(["Scores", el("div", { class: "panels" }, ...data.tables.map(tablePanel))]);
  panels.push(["Settings", el("div", {}, ...settings())]);
  document.getElementById("page").append(
    el("header", {}, el("h1", {}, data.title),
      el("p", { class: "faint" }, [data.before, data.after].filter(Boolean).join(" → ")), tiles()), ...tabs(panels));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || list.node.parentElement.hidden) return;
    const typing = event.target.matches("input[type=search], select");
    if (typing && event.key === "Escape") event.target.blur();
    else if (typing) return;
    if (list.key(event.key)) event.preventDefault();
  });
})();
