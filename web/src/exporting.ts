// CSV and PNG of what is drawn, made here from what is drawn.

export interface Table {
  head: string[];
  rows: (string | number | null)[][];
}

function cell(v: string | number | null): string {
  if (v === null) return '';
  if (typeof v === 'number') return Number.isFinite(v) ? String(v) : '';
  // A text that a spreadsheet would run as a formula gets an apostrophe before it.
  const safe = /^[=+\-@\t\r]/.test(v) ? `'${v}` : v;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function toCsv(t: Table): Blob {
  const lines = [t.head, ...t.rows].map((r) => r.map(cell).join(','));
  return new Blob([`${lines.join('\r\n')}\r\n`], { type: 'text/csv;charset=utf-8' });
}

export function download(name: string, blob: Blob): void {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(blob);
  a.download = name.replace(/[^\w.-]+/g, '_');
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
}

/* The canvas on the panel's ground, so that a light picture does not end up on black. */
export async function downloadPicture(name: string, canvas: HTMLCanvasElement | null): Promise<void> {
  if (!canvas || !canvas.width) return;
  const out = document.createElement('canvas');
  out.width = canvas.width;
  out.height = canvas.height;
  const ctx = out.getContext('2d');
  if (!ctx) return;
  ctx.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--panel').trim() || '#fff';
  ctx.fillRect(0, 0, out.width, out.height);
  ctx.drawImage(canvas, 0, 0);
  const blob = await new Promise<Blob | null>((done) => out.toBlob(done, 'image/png'));
  if (blob) download(name, blob);
}
