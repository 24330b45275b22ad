"use strict";
// Tables that sort by a click on a head and filter by words, and the long one of every image.
(() => {
  const PAGE = 50;

  // missing values last, whichever way it is sorted
  const compare = (one, other, down) => {
    const missing = (value) => value === null || value === "";
    if (missing(one) || missing(other)) return missing(one) - missing(other);
    const order =
      typeof one === "number" && typeof other === "number"
        ? one - other
        : String(one).localeCompare(String(other), undefined, { numeric: true });
    return down ? -order : order;
  };

  // heads become buttons; `sort(column, down)` is called, and the head says how it is sorted
  const makeHeads = (row, sort) => {
    [...row.cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of row.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(column, down);
      });
    });
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const valueOf = (row, column) => {
      const cell = row.cells[column];
      const value = cell.dataset.value;
      if (value === undefined) return cell.textContent.trim();
      if (value === "") return null;
      return value.endsWith("inf") ? (value.startsWith("-") ? -Infinity : Infinity) : Number(value);
    };
    makeHeads(table.tHead.rows[0], (column, down) => {
      const rows = [...body.rows];
      rows.sort((a, b) => compare(valueOf(a, column), valueOf(b, column), down));
      body.append(...rows);
    });
  }

  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

  const filter = document.getElementById("filter");
  if (filter) {
    const status = document.getElementById("filter-status");
    filter.addEventListener("input", () => {
      const wanted = words(filter.value);
      let shown = 0;
      let all = 0;
      for (const article of document.querySelectorAll(".filtered")) {
        let here = 0;
        for (const row of article.querySelectorAll("tbody tr")) {
          const text = `${article.dataset.about} ${row.cells[0].textContent}`.toLowerCase();
          row.hidden = !wanted.every((word) => text.includes(word));
          all += 1;
          here += !row.hidden;
        }
        article.hidden = here === 0;
        shown += here;
      }
      status.textContent = wanted.length ? `${shown} of ${all} rows` : "";
    });
  }

  const source = document.getElementById("image-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const { names, metrics } = data;
  const number = (value) => (typeof value === "string" ? (value[0] === "-" ? -Infinity : Infinity) : value);
  const columns = [
    { name: "Data set", text: (n) => names.dataset[data.dataset[n]] },
    { name: "Image", text: (n) => names.item[data.item[n]] },
    { name: "Scale", text: (n) => `×${data.scale[n]}`, value: (n) => data.scale[n] },
    { name: "Model", text: (n) => names.upsampler[data.upsampler[n]] },
    ...metrics.map((metric) => ({
      name: metric.name,
      number: true,
      value: (n) => number(metric.values[n]),
      text: (n) => {
        const value = metric.values[n];
        if (value === null) return "–";
        return typeof value === "string" ? value : value.toFixed(metric.decimals);
      },
    })),
  ];
  const count = data.scale.length;
  const table = document.getElementById("image-table");
  const status = document.getElementById("image-status");
  const earlier = document.getElementById("earlier");
  const later = document.getElementById("later");
  const search = document.getElementById("image-filter");
  const scale = document.getElementById("image-scale");
  const model = document.getElementById("image-model");
  let order = Array.from({ length: count }, (_, n) => n);
  let shown = order;
  let first = 0;

  const cell = (kind, text, isNumber) => {
    const element = document.createElement(kind);
    element.textContent = text;
    if (isNumber) element.className = "number";
    return element;
  };

  const draw = () => {
    const rows = shown.slice(first, first + PAGE).map((n) => {
      const row = document.createElement("tr");
      row.append(...columns.map((column) => cell("td", column.text(n), column.number)));
      return row;
    });
    table.tBodies[0].replaceChildren(...rows);
    const last = Math.min(first + PAGE, shown.length);
    status.textContent = shown.length
      ? `${first + 1}–${last} of ${shown.length}` + (shown.length < count ? ` (${count} in all)` : "")
      : "nothing matches";
    earlier.disabled = first === 0;
    later.disabled = last === shown.length;
  };

  const select = () => {
    const wanted = words(search.value);
    const haystacks = new Map();
    const matches = (n) => {
      if (scale.value !== "" && data.scale[n] !== Number(scale.value)) return false;
      if (model.value !== "" && data.upsampler[n] !== Number(model.value)) return false;
      if (!wanted.length) return true;
      const key = `${data.dataset[n]},${data.item[n]},${data.upsampler[n]}`;
      if (!haystacks.has(key)) {
        const text = [0, 1, 3].map((column) => columns[column].text(n)).join(" ").toLowerCase();
        haystacks.set(key, wanted.every((word) => text.includes(word)));
      }
      return haystacks.get(key);
    };
    shown = order.filter(matches);
    first = 0;
    draw();
  };

  const head = document.createElement("tr");
  head.append(
    ...columns.map((column) => {
      const element = cell("th", column.name, column.number);
      element.scope = "col";
      return element;
    }),
  );
  table.tHead.append(head);
  makeHeads(head, (column, down) => {
    const { value, text } = columns[column];
    const keys = order.map(value ?? text);
    const places = order.map((_, place) => place);
    places.sort((a, b) => compare(keys[a], keys[b], down) || a - b);
    order = places.map((place) => order[place]);
    select();
  });
  for (const each of [...new Set(data.scale)].sort((a, b) => a - b)) scale.add(new Option(`×${each}`, each));
  names.upsampler.forEach((name, code) => model.add(new Option(name, code)));
  search.addEventListener("input", select);
  scale.addEventListener("change", select);
  model.addEventListener("change", select);
  earlier.addEventListener("click", () => {
    first = Math.max(0, first - PAGE);
    draw();
  });
  later.addEventListener("click", () => {
    first += PAGE;
    draw();
  });
  for (const part of document.querySelectorAll("#images [hidden]")) part.hidden = false;
  draw();
})();
