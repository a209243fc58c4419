"use strict";
// Bags of a run: the label of the bag, and the label that the run gives each image.
(() => {
  const select = document.getElementById("bag-run");
  if (!select) return;

  function image(each) {
    const right = each.truth === "" ? "unknown" : each.label === each.truth ? "right" : "wrong";
    const sign = { right: "\u2713 ", wrong: "\u2717 ", unknown: "" }[right];
    const label = each.label === "" ? "no label" : each.label;
    const truth = each.truth === "" ? "truth not known" : "truth " + each.truth;
    const share = each.share === null ? "" : each.share.toFixed(1) + " % sure";
    return card(right, each.img, "labelled " + label + ", " + truth, sign + label, share, truth);
  }

  function show() {
    const found = page.bags[Number(select.value)];
    const parts = found.bags.flatMap((bag) => [
      element("h3", {}, "bag " + bag.id + ": " + bag.size + (bag.size === 1 ? " image, " : " images, ") + bag.images.length +
        " shown; label: " + bag.label.join(", ")),
      element("ul", { class: "list" }, ...bag.images.map(image)),
    ]);
    const note = found.note === "" ? [] : [element("p", { class: "note" }, found.note)];
    document.getElementById("bag-shown").replaceChildren(...note, ...parts);
  }

  fill(select, page.runs.map((name, i) => [i, name]));
  select.addEventListener("change", show);
  show();
})();
