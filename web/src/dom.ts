// Small helpers over the DOM. Text always goes through textContent: what the server sends is never markup.

type Props = Record<string, string | number | boolean | null | undefined | ((e: Event) => void)>;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: (Node | string | null | undefined)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  apply(node, props);
  for (const c of children) if (c !== null && c !== undefined) node.append(c);
  return node;
}

export function svg(tag: string, props: Props = {}, ...children: Node[]): SVGElement {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  apply(node, props);
  node.append(...children);
  return node;
}

function apply(node: Element, props: Props): void {
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(key, value);
    else if (key === 'text') node.textContent = String(value);
    else if (key === 'class') node.setAttribute('class', String(value));
    else node.setAttribute(key, value === true ? '' : String(value));
  }
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const node = document.getElementById(id);
  if (!node) throw new Error(`index.html has no #${id}`);
  return node as T;
}

/* Writes only what changed, so that selections survive and nothing is laid out for nothing. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node: Element, name: string, on: boolean): void {
  if (node.classList.contains(name) !== on) node.classList.toggle(name, on);
}

export function setAttr(node: Element, name: string, value: string): void {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/* Makes the children of `host` equal to `fresh` and keeps every node that can stay: so that a tooltip, a
 * selection and the focus survive numbers that change. */
export function patch(host: Element, fresh: (Node | null)[]): void {
  const want = fresh.filter((n): n is Node => n !== null);
  want.forEach((n, i) => {
    const old = host.childNodes[i];
    if (!old) host.append(n);
    else if (!same(old, n)) host.replaceChild(n, old);
  });
  while (host.childNodes.length > want.length) host.lastChild?.remove();
}

/* True when `old` could be made equal to `fresh`. */
function same(old: Node, fresh: Node): boolean {
  if (old === fresh) return true;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return false;
  if (old instanceof Element && fresh instanceof Element) {
    for (const a of [...old.attributes]) if (!fresh.hasAttribute(a.name)) old.removeAttribute(a.name);
    for (const a of fresh.attributes) setAttr(old, a.name, a.value);
    patch(old, [...fresh.childNodes]);
  } else if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
  return true;
}

/* One call a frame at most, however often it is asked for. */
export function perFrame(fn: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      fn();
    });
  };
}

/* At most one call in `ms`; the last ask is never lost. */
export function throttle(ms: number, fn: () => void): () => void {
  let last = -Infinity;
  let timer: ReturnType<typeof setTimeout> | null = null;
  return () => {
    if (timer !== null) return;
    const wait = Math.max(0, last + ms - performance.now());
    timer = setTimeout(() => {
      timer = null;
      last = performance.now();
      fn();
    }, wait);
  };
}

export interface Choice<T extends string> {
  value: T;
  label: string;
  title?: string;
}

/* A row of buttons of which one is chosen; arrow keys move inside it. */
export class Segment<T extends string> {
  private buttons = new Map<T, HTMLButtonElement>();
  constructor(
    private root: HTMLElement,
    choices: Choice<T>[],
    private onPick: (value: T) => void,
  ) {
    for (const c of choices) {
      const b = el('button', { type: 'button', role: 'radio', title: c.title, text: c.label, 'aria-checked': 'false' });
      b.addEventListener('click', () => this.onPick(c.value));
      b.addEventListener('keydown', (e) => this.key(e, c.value));
      this.buttons.set(c.value, b);
      this.root.append(b);
    }
  }
  set(value: T): void {
    for (const [v, b] of this.buttons) {
      setAttr(b, 'aria-checked', v === value ? 'true' : 'false');
      b.tabIndex = v === value ? 0 : -1;
    }
  }
  private key(e: KeyboardEvent, value: T): void {
    const step = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    if (!step) return;
    const all = [...this.buttons.keys()];
    const next = all[(all.indexOf(value) + step + all.length) % all.length];
    if (next === undefined) return;
    e.preventDefault();
    e.stopPropagation();
    this.onPick(next);
    this.buttons.get(next)?.focus();
  }
}
