"use strict";
// Without this script the page shows everything, one below the other; with it filters and mistakes can be searched.

const byId = (id) => document.getElementById(id);

/// Numbers before nothing; numbers by size, texts by the alphabet, digits in texts by size.
function compare(a, b, direction) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const order = typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
  return direction * order;
}

function filters() {
  const form = byId("filter-controls");
  if (!form) return null;
  const body = document.querySelector("table.filters tbody");
  const number = (text) => (text === "" ? "" : Number(text));
  const items = [...body.rows].map((row) => {
    const card = byId(row.dataset.card);
    const category = row.querySelector(".category").textContent;
    const part = row.querySelector(".part .missing") ? "" : row.querySelector(".part").textContent;
    return {
      row, card, list: card.parentElement, network: row.dataset.network, categoryKey: row.dataset.category,
      index: number(row.dataset.index), purity: number(row.dataset.purity),
      instability: number(row.dataset.instability), rate: number(row.dataset.rate),
      category, part, text: `filter ${row.dataset.index} ${category} ${part}`.toLowerCase(),
    };
  });
  const groups = [...document.querySelectorAll("#gallery .group")];
  const heads = [...document.querySelectorAll("table.filters thead button")];
  const network = form.elements.network;
  const limit = Number(form.elements.instability.max);
  let sort = { key: "index", direction: 1 };

  function matches(item) {
    const { query, category, purity, instability } = form.elements;
    const least = Number(purity.value), most = Number(instability.value);
    return (!network || network.value === "" || item.network === network.value) &&
      (category.value === "" || item.categoryKey === category.value) &&
      query.value.toLowerCase().split(/\s+/).every((word) => item.text.includes(word)) &&
      (least === 0 || (item.purity !== "" && item.purity >= least)) &&
      (most >= limit || (item.instability !== "" && item.instability <= most));
  }

  function update() {
    let shown = 0, candidates = 0;
    for (const item of items) {
      if (!network || network.value === "" || item.network === network.value) candidates += 1;
      const isShown = matches(item);
      item.row.hidden = item.card.hidden = !isShown;
      if (isShown) shown += 1;
    }
    // A column that says the same in every row says nothing.
    body.parentElement.classList.toggle("one-network", Boolean(network?.value));
    for (const group of groups) group.hidden = !group.querySelector(".card:not([hidden])");
    byId("purity-text").textContent = Number(form.elements.purity.value).toFixed(2);
    const most = Number(form.elements.instability.value);
    byId("instability-text").textContent = most >= limit ? "any" : most.toFixed(3);
    byId("filter-status").textContent = `${shown} of ${candidates} filters`;
    byId("no-filters").hidden = shown > 0;
  }

  function order(key, direction) {
    sort = { key, direction };
    const sorted = [...items].sort((a, b) => compare(a[key], b[key], direction) || a.index - b.index);
    body.append(...sorted.map((item) => item.row));
    for (const item of sorted) item.list.append(item.card);
    for (const head of heads) {
      head.closest("th").setAttribute(
        "aria-sort", head.dataset.key !== key ? "none" : direction > 0 ? "ascending" : "descending");
    }
    const option = `${key}:${direction}`;
    const select = form.elements.sort;
    select.value = [...select.options].some((o) => o.value === option) ? option : "";
  }

  function show(view) {
    byId("gallery").hidden = view !== "gallery";
    byId("table").hidden = view !== "table";
    for (const button of form.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
  }

  form.addEventListener("input", (event) => { if (event.target.name !== "sort") update(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.sort.addEventListener("change", (event) => {
    const [key, direction] = event.target.value.split(":");
    order(key, Number(direction));
  });
  for (const button of form.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => show(button.dataset.view));
  }
  for (const head of heads) {
    head.addEventListener("click", () => {
      const again = head.dataset.key === sort.key;
      order(head.dataset.key, again ? -sort.direction : Number(head.dataset.first));
    });
  }
  byId("no-filters").querySelector("button").addEventListener("click", () => { form.reset(); update(); });
  form.hidden = false;
  order("index", 1);
  show("gallery");
  update();

  /// Makes a card visible, whatever is chosen.
  return function reveal(id) {
    const item = items.find((candidate) => candidate.card.id === id);
    if (!item) return false;
    if (!matches(item)) {
      form.reset();
      if (network) network.value = item.network;
      order(sort.key, sort.direction);
      update();
    }
    show("gallery");
    item.card.scrollIntoView({ block: "center" });
    item.card.focus({ preventScroll: true });
    return true;
  };
}

function mistakes() {
  const form = byId("mistake-controls");
  if (!form) return null;
  const section = byId("mistakes");
  const articles = [...section.querySelectorAll(".mistake")];
  const buttons = ["mistake-all", "mistake-previous", "mistake-next"].map(byId);
  const [all, previous, next] = buttons;
  let chosen = articles, current = null;

  function matches(article) {
    return ["network", "true", "predicted"].every((name) => {
      const value = form.elements[name]?.value ?? "";
      return value === "" || article.dataset[name] === value;
    });
  }

  function update() {
    chosen = articles.filter(matches);
    if (current && !chosen.includes(current)) current = chosen[0] ?? null;
    section.classList.toggle("overview", !current);
    section.classList.toggle("mistakes-single", Boolean(current));
    const visible = new Set(current ? [current] : chosen);
    for (const article of articles) article.hidden = !visible.has(article);
    for (const button of buttons) button.hidden = !current;
    const place = chosen.indexOf(current);
    previous.disabled = place <= 0;
    next.disabled = place < 0 || place === chosen.length - 1;
    byId("mistake-status").textContent =
      current ? `${place + 1} of ${chosen.length}` : `${chosen.length} picture${chosen.length === 1 ? "" : "s"}`;
    byId("no-mistakes").hidden = chosen.length > 0;
  }

  const go = (offset) => {
    const target = chosen[chosen.indexOf(current) + offset];
    if (target) location.hash = target.id;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", update);
  previous.addEventListener("click", () => go(-1));
  next.addEventListener("click", () => go(1));
  all.addEventListener("click", () => { location.hash = "mistakes"; });
  section.addEventListener("keydown", (event) => {
    if (!current || event.altKey || event.ctrlKey || event.metaKey || event.target.matches("select, input")) return;
    if (event.key === "ArrowLeft") go(-1);
    else if (event.key === "ArrowRight") go(1);
    else if (event.key === "Escape") location.hash = "mistakes";
    else return;
    event.preventDefault();
  });
  form.hidden = false;
  update();

  /// Shows one article, or all for any other address.
  return function reveal(id) {
    const article = articles.find((candidate) => candidate.id === id) ?? null;
    if (!article) {
      if (id === "mistakes" && current) { current = null; update(); section.scrollIntoView(); }
      return false;
    }
    if (!matches(article)) {
      form.reset();
      if (form.elements.network) form.elements.network.value = article.dataset.network;
    }
    current = article;
    update();
    form.scrollIntoView({ block: "start" });
    if (!form.contains(document.activeElement)) article.focus({ preventScroll: true });
    return true;
  };
}

/// Marks the section that is being read.
function sections() {
  const links = new Map([...document.querySelectorAll(".sections a")].map((link) => [link.hash.slice(1), link]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const [id, link] of links) {
        if (id === entry.target.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const id of links.keys()) observer.observe(byId(id));
}

document.body.classList.remove("plain");
const reveals = [filters(), mistakes()].filter(Boolean);
sections();
const follow = () => {
  const id = decodeURIComponent(location.hash.slice(1));
  for (const reveal of reveals) reveal(id);
};
addEventListener("hashchange", follow);
if (location.hash) follow();
