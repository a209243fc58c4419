"use strict";
// Draws each chart's chosen figure, and hides experiments that are not ticked.
(() => {
  const hidden = new Set();
  const few = 8; // lines whose legend is shown without being asked for
  const settings = { responsive: true, displayModeBar: false, showTips: false };
  const coarse = matchMedia("(pointer: coarse)").matches; // there a drag scrolls the page

  function traces(figure) {
    return figure.data.map((trace) => ({ ...trace, visible: ![].concat(trace.meta).every((group) => hidden.has(group)) }));
  }

  function swatch(line) {
    const made = element("span", { class: "swatch " + line.dash });
    made.style.borderTopColor = line.color;
    return made;
  }

  function draw(key, choice) {
    const { figure } = page.charts[key][choice];
    const named = new Map(traces(figure).filter((trace) => trace.name && trace.visible).map((trace) => [trace.name, trace.line]));
    document.getElementById(key + "-legend").replaceChildren(...[...named].map(([name, line]) => element("li", {}, swatch(line), name)));
    const { height = 420, ...layout } = figure.layout;
    document.getElementById(key + "-plot").style.height = height + "px";
    Plotly.react(key + "-plot", traces(figure), { ...layout, autosize: true, dragmode: coarse ? false : "zoom" }, settings);
  }

  const chosen = Object.fromEntries(Object.keys(page.charts).map((key) => [key, 0]));
  const redraw = (key) => draw(key, chosen[key]);
  for (const each of document.querySelectorAll("[data-colour]")) each.style.borderTopColor = each.dataset.colour;
  for (const select of document.querySelectorAll("select[data-chart]")) {
    const take = () => {
      chosen[select.dataset.chart] = Number(select.value);
      redraw(select.dataset.chart);
    };
    select.addEventListener("change", take);
    chosen[select.dataset.chart] = Number(select.value); // a browser keeps a choice when a page is loaded again
  }
  for (const key of Object.keys(page.charts)) {
    const names = new Set(page.charts[key][0].figure.data.map((trace) => trace.name).filter(Boolean));
    const legend = document.getElementById(key + "-key");
    legend.hidden = names.size === 0; // the chart itself names its lines
    legend.open = names.size <= few;
  }
  for (const box of document.querySelectorAll("input[data-group]")) {
    const note = () => hidden[box.checked ? "delete" : "add"](Number(box.dataset.group));
    box.addEventListener("change", () => {
      note();
      Object.keys(chosen).forEach(redraw);
    });
    note();
  }
  Object.keys(chosen).forEach(redraw);
})();
