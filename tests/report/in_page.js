(() => {
  const shown = (node) => {
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    return style.visibility !== "hidden" && style.display !== "none" && box.width > 0 && box.height > 0;
  };

  // Elements that stand out at the right, those aside that lie in something that scrolls.
  window.overflowing = () =>
    [...document.querySelectorAll("body *:not(option, optgroup)")]
      .filter((node) => !node.closest(".scroll > *, .skip, script, svg") && shown(node))
      .filter((node) => node.getBoundingClientRect().right > innerWidth + 0.5)
      .map((node) => node.outerHTML.slice(0, 120));

  const channels = (colour) => {
    const numbers = colour.match(/[\d.]+/g).map(Number);
    return { rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1 };
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const { rgb, alpha } = channels(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return rgb;
      if (alpha > 0) throw new Error("half transparent: " + at.outerHTML.slice(0, 80));
    }
    return [255, 255, 255];
  };

  // WCAG 2.2's contrast ratio of each element that holds text, words in charts among them.
  window.contrasts = () =>
    [...document.querySelectorAll("body *")]
      .filter((node) => !node.closest("script, noscript, .skip") && shown(node))
      .filter((node) => node.matches("select, input[type=number]") || [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()))
      .map((node) => {
        const style = getComputedStyle(node);
        const inChart = node.closest("svg") !== null;
        const { rgb, alpha } = channels(inChart ? style.fill : style.color);
        const opacity = inChart ? Number(style.fillOpacity) * Number(style.opacity) : Number(style.opacity);
        const [high, low] = [luminance(rgb), luminance(behind(node))].sort((a, b) => b - a);
        return { text: node.tagName + " " + node.textContent.trim().slice(0, 60), ratio: alpha * opacity < 1 ? 0 : (high + 0.05) / (low + 0.05) };
      });

  const all = () => [...document.querySelectorAll("*")];
  window.place = (node) => all().indexOf(node);
  window.reachable = () =>
    all()
      .filter((node) => node.matches("a[href], select, input, button, summary, [tabindex='0']") && !node.disabled && !node.closest("[hidden]"))
      .map(place);
  window.outlined = (node) => {
    const style = getComputedStyle(node);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  };
})();
