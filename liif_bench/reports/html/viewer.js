// The zoom viewer: one lens over a picture, the same place of LR, every model and HR beside it.
(() => {
  const source = document.getElementById("gallery-data");
  const viewer = document.querySelector(".viewer");
  if (!source || !viewer) return;
  const { images, views, leaders } = JSON.parse(source.textContent);
  const get = (id) => document.getElementById(id);
  const stage = get("stage");
  const picture = get("picture");
  const lens = get("lens");
  const wipe = get("wipe");
  const slider = get("slider");
  const magnify = get("magnify");
  const before = get("view-before");
  const after = get("view-after");
  const choice = get("view-item");
  const scales = get("view-scales");
  const loupes = get("loupes");
  const status = get("view-status");
  const LOUPE = 256; // pixels of a loupe's canvas

  // views of one image, whatever their scale
  const items = new Map();
  for (const view of views) {
    const key = JSON.stringify([view.dataset, view.item]);
    if (!items.has(key)) items.set(key, []);
    items.get(key).push(view);
  }
  for (const found of items.values()) found.sort((a, b) => a.scale - b.scale);

  let view = null;
  let shots = []; // of the view, each with its loaded picture
  let centre = { x: 0.5, y: 0.5 }; // of the lens, in parts of the window
  let drawing = 0; // counts views, so that a late picture of an earlier one is not drawn

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  const loaded = new Map();
  const load = (id) => {
    if (!loaded.has(id)) {
      const image = new Image();
      image.src = `data:image/png;base64,${images[id]}`;
      loaded.set(id, image.decode().then(() => image));
    }
    return loaded.get(id);
  };

  // the part of the window under the lens, in its pixels
  const region = () => {
    const side = Math.min(view.width, view.height);
    const size = Math.max(2, side / Number(magnify.value));
    return {
      size,
      x: clamp(centre.x * view.width - size / 2, 0, view.width - size),
      y: clamp(centre.y * view.height - size / 2, 0, view.height - size),
    };
  };

  const drawStage = () => {
    const context = picture.getContext("2d");
    context.imageSmoothingEnabled = false;
    const edge = Math.round((picture.width * Number(slider.value)) / 100);
    const named = (select) => shots[Number(select.value)].image;
    context.drawImage(named(after), 0, 0, picture.width, picture.height);
    context.save();
    context.beginPath();
    context.rect(0, 0, edge, picture.height);
    context.clip();
    context.drawImage(named(before), 0, 0, picture.width, picture.height);
    context.restore();
    wipe.style.left = `${slider.value}%`;
    get("tag-before").textContent = shots[Number(before.value)].name;
    get("tag-after").textContent = shots[Number(after.value)].name;
  };

  const drawLens = () => {
    const { x, y, size } = region();
    lens.style.left = `${(100 * x) / view.width}%`;
    lens.style.top = `${(100 * y) / view.height}%`;
    lens.style.width = `${(100 * size) / view.width}%`;
    lens.style.height = `${(100 * size) / view.height}%`;
    get("magnify-text").textContent = `${magnify.value}×`;
    [...loupes.querySelectorAll("canvas")].forEach((canvas, place) => {
      const context = canvas.getContext("2d");
      context.imageSmoothingEnabled = false;
      context.drawImage(shots[place].image, x, y, size, size, 0, 0, LOUPE, LOUPE);
    });
    stage.dataset.lens = [x, y, size].map((value) => value.toFixed(2)).join(" ");
  };

  const fill = (select, wanted, fallback) => {
    select.replaceChildren(...shots.map((shot, place) => new Option(shot.name, place)));
    const found = shots.findIndex((shot) => shot.name === wanted);
    select.value = found >= 0 ? found : fallback;
  };

  const label = (select) => select.selectedOptions[0]?.text;

  const show = async (next) => {
    const turn = ++drawing;
    const wanted = [label(before), label(after)];
    const ready = await Promise.all(
      next.shots.map(async (shot) => ({ ...shot, image: await load(shot.image) })),
    );
    if (turn !== drawing) return;
    view = next;
    shots = ready;
    fill(before, wanted[0], Math.min(1, shots.length - 1));
    const leader = leaders.find((name) => shots.some((shot) => shot.name === name));
    fill(after, wanted[1] ?? leader, shots.length - 1);
    const factor = Math.max(1, Math.floor(768 / Math.max(view.width, view.height)));
    picture.width = view.width * factor;
    picture.height = view.height * factor;
    loupes.replaceChildren(
      ...shots.map((shot) => {
        const figure = document.createElement("figure");
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = LOUPE;
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `${shot.name} under the lens`);
        const caption = document.createElement("figcaption");
        const name = document.createElement("b");
        name.textContent = shot.name;
        const lines = shot.values.map((text) => {
          const line = document.createElement("span");
          line.textContent = text;
          return line;
        });
        caption.append(name, ...lines);
        figure.append(canvas, caption);
        return figure;
      }),
    );
    for (const button of scales.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.scale) === view.scale));
    }
    get("where").textContent = `Shown: ${view.where} pixels of ${view.item}. Values are of the whole image.`;
    status.textContent = `${view.item} at ×${view.scale}: ${shots.map((shot) => shot.name).join(", ")}`;
    stage.dataset.scale = view.scale;
    drawStage();
    drawLens();
  };

  const choose = (key) => {
    const found = items.get(key);
    scales.querySelectorAll("button").forEach((button) => button.remove());
    found.forEach((each) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `×${each.scale}`;
      button.dataset.scale = each.scale;
      button.addEventListener("click", () => show(each));
      scales.append(button);
    });
    return show(found.find((each) => view && each.scale === view.scale) ?? found[0]);
  };

  const moveTo = (x, y) => {
    centre = { x: clamp(x, 0, 1), y: clamp(y, 0, 1) };
    drawLens();
  };

  // dragging: the lens by the picture, the slider by its handle
  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  };
  const drag = (element, act) => {
    let held = false;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !view) return;
      held = true;
      element.setPointerCapture(event.pointerId);
      event.stopPropagation();
      act(place(event));
    });
    element.addEventListener("pointermove", (event) => {
      if (held) act(place(event));
    });
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, () => {
        held = false;
      });
    }
  };
  drag(stage, ({ x, y }) => moveTo(x, y));
  drag(wipe.firstElementChild, ({ x }) => {
    slider.value = clamp(100 * x, 0, 100);
    drawStage();
  });

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !view) return;
    const pixels = event.shiftKey ? 8 : 1;
    const { x, y, size } = region();
    const now = { x: x + size / 2, y: y + size / 2 };
    const go = (right, down) =>
      moveTo((now.x + right * pixels) / view.width, (now.y + down * pixels) / view.height);
    const turn = (input, by) => {
      input.value = Number(input.value) + by;
      input.dispatchEvent(new Event("input"));
    };
    const actions = {
      ArrowLeft: () => go(-1, 0),
      ArrowRight: () => go(1, 0),
      ArrowUp: () => go(0, -1),
      ArrowDown: () => go(0, 1),
      "+": () => turn(magnify, 1),
      "=": () => turn(magnify, 1),
      "-": () => turn(magnify, -1),
      "[": () => turn(slider, -5),
      "]": () => turn(slider, 5),
    };
    const button = scales.querySelectorAll("button")[Number(event.key) - 1];
    const action = actions[event.key] ?? (button && (() => button.click()));
    if (!action) return;
    event.preventDefault();
    action();
  });

  slider.addEventListener("input", drawStage);
  magnify.addEventListener("input", drawLens);
  before.addEventListener("change", drawStage);
  after.addEventListener("change", drawStage);
  choice.addEventListener("change", () => choose(choice.value));

  const several = new Set(views.map((each) => each.dataset)).size > 1;
  for (const [key, [{ dataset, item }]] of items) {
    choice.add(new Option(several ? `${dataset}: ${item}` : item, key));
  }
  viewer.hidden = false;
  choose(choice.value);
})();
