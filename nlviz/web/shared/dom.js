// Building elements, their text, and tooltips.

const TIP_AFTER = 400;

/**
 * Make an element: attributes, then children (elements or text).
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} attributes
 * @param {(Node|string|null)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "html") node.innerHTML = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) if (child !== null) node.append(child);
  return node;
}

/**
 * The 2-D context of a canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 */
export function contextOf(canvas, settings) {
  const context = canvas.getContext("2d", settings);
  if (!context) throw new Error("this browser gives a canvas no context to draw with");
  return context;
}

/** What has the focus in the document or shadow tree that holds an element. */
export function focusedIn(node) {
  const tree = node.getRootNode();
  return tree instanceof Document || tree instanceof ShadowRoot ? tree.activeElement : null;
}

/** How far below the window's top an element lies while nothing is scrolled, in CSS pixels. */
export function topOfPage(node) {
  let top = node.getBoundingClientRect().top + window.scrollY;
  for (let at = node; at; at = at.parentElement ?? at.getRootNode().host) {
    if (at !== document.documentElement) top += at.scrollTop;
  }
  return Math.max(0, top);
}

/** Set text only where it differs: unchanged nodes cost no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Match the colour scheme of native sliders and menus to the background. */
export function matchScheme(root) {
  const { backgroundColor } = getComputedStyle(root);
  const [r, g, b] = (backgroundColor.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  const share = backgroundColor.startsWith("color") ? 255 : 1;
  root.style.colorScheme = share * (0.3 * r + 0.59 * g + 0.11 * b) < 128 ? "dark" : "light";
}

/** Words for those who hear the page, out of sight. */
export const heard = (text) => element("span", { class: "nlv-spoken", text });

/** A term with an explanation in plain words, shown on hover and focus. */
export function term(text, tip, attributes = {}) {
  return element("span", { class: "nlv-term", tabindex: "0", "data-tip": tip, ...attributes, text });
}

/** One tooltip for every element with data-tip below `root`, kept inside it. */
export function attachTips(root, signal) {
  const bubble = element("div", { class: "nlv-tip", role: "tooltip", hidden: true });
  root.append(bubble);
  /** @type {HTMLElement|null} */
  let owner = null;
  let timer = 0;

  function place() {
    if (!owner) return;
    bubble.textContent = owner.dataset.tip ?? "";
    bubble.hidden = false;
    const frame = root.getBoundingClientRect();
    const box = owner.getBoundingClientRect();
    const left = Math.min(box.left - frame.left, frame.width - bubble.offsetWidth);
    const below = box.bottom - frame.top + 6;
    const above = box.top - frame.top - bubble.offsetHeight - 6;
    const fits = box.bottom + bubble.offsetHeight + 12 < window.innerHeight || above < 0;
    bubble.style.transform = `translate(${Math.max(0, left)}px, ${fits ? below : above}px)`;
  }

  function show(event) {
    const target = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
    if (target === owner) return;
    hide();
    owner = target;
    // A pointer on its way elsewhere should not leave a trail of tips.
    if (owner) timer = setTimeout(place, event.type === "focusin" ? 0 : TIP_AFTER);
  }

  /** Hide the tip; its element stays the owner, so that a click does not bring it back. */
  function close() {
    clearTimeout(timer);
    bubble.hidden = true;
  }

  function hide() {
    close();
    owner = null;
  }

  root.addEventListener("pointerover", show, { signal });
  root.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && show(event), { signal });
  root.addEventListener("pointerleave", hide, { signal });
  root.addEventListener("focusout", hide, { signal });
  root.addEventListener("pointerdown", close, { signal });
}
