// The one dialog: full views, help, settings. <dialog> gives focus, Esc and the backdrop.

import { byId, el } from './dom';
import { download, downloadPicture, toCsv, type Table } from './exporting';

export interface View {
  title: string;
  body: HTMLElement | null; // null: `mount` fills it
  mount?(host: HTMLElement): void;
  closed?(): void;
  csv?: { name: string; table: () => Table };
  png?: { name: string; canvas: () => HTMLCanvasElement | null };
  narrow?: boolean;
}

export class Dialog {
  private root = byId<HTMLDialogElement>('dialog');
  private view: View | null = null;

  constructor() {
    byId('dialog-close').addEventListener('click', () => this.close());
    this.root.addEventListener('close', () => this.gone());
    this.root.addEventListener('click', (e) => e.target === this.root && this.close());
  }

  get isOpen(): boolean {
    return this.root.open;
  }

  open(view: View): void {
    if (this.root.open) this.close();
    this.view = view;
    byId('dialog-title').textContent = view.title;
    const tools = byId('dialog-tools');
    tools.replaceChildren();
    const { csv, png } = view;
    if (csv) tools.append(this.tool('CSV', () => download(`${csv.name}.csv`, toCsv(csv.table()))));
    if (png) tools.append(this.tool('PNG', () => void downloadPicture(`${png.name}.png`, png.canvas())));
    const body = byId('dialog-body');
    body.replaceChildren(...(view.body ? [view.body] : []));
    this.root.classList.toggle('narrow', view.narrow ?? false);
    this.root.showModal();
    view.mount?.(body);
  }

  private tool(text: string, fn: () => void): HTMLButtonElement {
    return el('button', { type: 'button', class: 'text-button', text, click: fn });
  }

  close(): void {
    if (this.root.open) this.root.close();
    this.gone();
  }

  private gone(): void {
    const v = this.view;
    this.view = null;
    v?.closed?.();
  }
}
