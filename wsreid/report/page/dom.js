"use strict";
// What the other scripts share: the page's data, and elements whose text is never read as HTML.
const page = JSON.parse(document.getElementById("data").textContent);

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function picture(number, words) {
  const code = number < 0 ? null : page.images[number];
  if (!code) return element("span", { class: "missing", role: "img", "aria-label": words + ", image not there" }, "image not there");
  return element("img", { src: "data:image/jpeg;base64," + code, alt: words });
}

function card(kind, number, words, ...lines) {
  const captions = lines.filter(Boolean).map((text, i) => element(i ? "span" : "strong", i ? {} : { class: "mark" }, text));
  const caption = element("figcaption", {});
  captions.forEach((line, i) => caption.append(...(i ? [element("br", {})] : []), line));
  return element("li", { class: kind }, element("figure", {}, picture(number, words), caption));
}

function fill(select, pairs, kept) {
  select.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, text)));
  if (pairs.some(([value]) => String(value) === String(kept))) select.value = String(kept);
}
