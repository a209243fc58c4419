"use strict";
// The browser of ranked lists: choose a run and a query, filter, and see what was found.
(() => {
  const at = (name) => document.getElementById("list-" + name);
  if (!at("run")) return;
  const places = new Map(); // run -> [set of queries, its place in it]
  page.querySets.forEach((set, i) => set.runs.forEach((run, place) => places.set(run, [i, place])));
  const kinds = { r: "right", w: "wrong", j: "junk", u: "unknown" };
  const signs = { r: "\u2713 right", w: "\u2717 wrong", j: "\u2298 junk", u: "? not known" };
  const setOf = (run) => page.querySets[places.get(run)[0]];
  const listOf = (run, query) => setOf(run).lists[places.get(run)[1]][query];
  const run = () => Number(at("run").value);
  const other = () => (at("other").value === "" ? null : Number(at("other").value));
  const value = (found) => (found.ap === null ? -1 : found.ap); // without a match it is the worst

  function describe(query, found) {
    const about = setOf(run()).queries[query];
    const words = ["query " + about.n];
    if (about.id !== "") words.push("identity " + about.id);
    if (about.cam >= 0) words.push("camera " + about.cam);
    words.push(found.ap === null ? "no match" : "AP " + found.ap.toFixed(1) + " %, first match at rank " + found.first);
    return words.join(", ");
  }

  function wanted(query) {
    const found = listOf(run(), query);
    const ap = found.ap;
    const kind = at("filter").value;
    if (kind === "none" ? ap !== null : kind !== "all" && ap === null) return false;
    if (kind === "missed" && found.first <= 1) return false;
    if (kind === "hit" && found.first > 1) return false;
    const camera = at("camera").value;
    if (camera !== "" && String(setOf(run()).queries[query].cam) !== camera) return false;
    const from = at("from").value === "" ? 0 : Number(at("from").value);
    const to = at("to").value === "" ? 100 : Number(at("to").value);
    return ap === null ? from <= 0 : ap >= from && ap <= to;
  }

  function key(query) {
    const found = listOf(run(), query);
    const change = other() === null ? 0 : value(found) - value(listOf(other(), query));
    const first = found.first === null ? Infinity : found.first;
    return { worst: value(found), best: -value(found), late: -first, loss: change, gain: -change, test: query }[at("order").value];
  }

  function showRuns() {
    const mates = setOf(run()).runs.filter((each) => each !== run());
    fill(at("other"), [["", "none"], ...mates.map((each) => [each, page.runs[each]])], at("other").value);
    for (const option of at("order").querySelectorAll("[value=loss], [value=gain]")) option.disabled = other() === null;
    if (at("order").selectedOptions[0].disabled) at("order").value = "worst";
    const cameras = [...new Set(setOf(run()).queries.map((query) => query.cam))].sort((a, b) => a - b);
    fill(at("camera"), [["", "all"], ...cameras.map((each) => [each, each < 0 ? "unknown" : each])], at("camera").value);
  }

  function showQueries() {
    const kept = at("query").value;
    const set = setOf(run());
    const shown = set.queries.map((_, i) => i).filter(wanted);
    const keys = new Map(shown.map((query) => [query, key(query)]));
    shown.sort((a, b) => (keys.get(a) === keys.get(b) ? a - b : keys.get(a) - keys.get(b)));
    fill(at("query"), shown.map((query) => [query, describe(query, listOf(run(), query))]), kept);
    at("count").textContent = shown.length + " of " + set.queries.length + " queries" +
      (set.total > set.queries.length ? " (" + set.total + " in the test)" : "");
    showList();
  }

  function cards(query, each) {
    const found = listOf(each, query);
    const head = page.runs[each] + ": " + (found.ap === null ? "no match in the gallery" :
      "AP " + found.ap.toFixed(1) + " %, first match at rank " + found.first);
    const items = found.hits.map((image, i) => {
      const mark = found.marks[i];
      return card(kinds[mark], image, "rank " + (i + 1) + ", " + kinds[mark], i + 1 + " " + signs[mark]);
    });
    const empty = element("p", { class: "note" }, "The run kept no ranked list (retrieval.topk).");
    return [element("h3", {}, head), items.length ? element("ol", { class: "list" }, ...items) : empty];
  }

  function showList() {
    const select = at("query");
    at("before").disabled = select.selectedIndex <= 0;
    at("next").disabled = select.selectedIndex >= select.options.length - 1;
    if (select.selectedIndex < 0) {
      at("shown").replaceChildren(element("p", { class: "note" }, "No query is like that."));
      return;
    }
    const query = Number(select.value);
    const about = setOf(run()).queries[query];
    const lines = [about.id === "" ? "" : "identity " + about.id, about.cam < 0 ? "" : "camera " + about.cam];
    const asked = element("ul", { class: "list" }, card("query", about.img, "query " + about.n, "query " + about.n, ...lines));
    const junk = about.junk > 0 ? [element("p", { class: "note" }, about.junk + (about.junk === 1 ? " junk image" : " junk images") +
      " (its identity and camera) taken out of the gallery before ranking.")] : [];
    const runs = [run(), ...(other() === null ? [] : [other()])];
    at("shown").replaceChildren(asked, ...junk, ...runs.flatMap((each) => cards(query, each)));
  }

  function move(step) {
    at("query").selectedIndex += step;
    showList();
  }

  fill(at("run"), [...places.keys()].sort((a, b) => a - b).map((each) => [each, page.runs[each]]));
  for (const name of ["run", "other", "filter", "camera", "from", "to", "order"]) {
    at(name).addEventListener(name === "from" || name === "to" ? "input" : "change", () => {
      showRuns();
      showQueries();
    });
  }
  at("query").addEventListener("change", showList);
  at("before").addEventListener("click", () => move(-1));
  at("next").addEventListener("click", () => move(1));
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  showRuns();
  showQueries();
})();
