// Parser of text/event-stream: fed with text in any pieces, gives whole events. No I/O here.

export interface SseEvent {
  type: string;
  data: string;
  id: string | null; // the last id seen so far, as the standard says
}

export class SseParser {
  private rest = '';
  private type = '';
  private data: string[] = [];
  private id: string | null = null;
  private size = 0;

  constructor(
    private emit: (e: SseEvent) => void,
    private maxEvent = 8 << 20,
  ) {}

  feed(text: string): void {
    const all = this.rest + text;
    let from = 0;
    for (;;) {
      const end = all.indexOf('\n', from);
      if (end < 0) break;
      const line = all.charCodeAt(end - 1) === 13 && end > from ? all.slice(from, end - 1) : all.slice(from, end);
      this.line(line);
      from = end + 1;
    }
    this.rest = all.slice(from);
    if (this.rest.length > this.maxEvent) throw new Error('the stream sent a line that is too long');
  }

  private line(line: string): void {
    if (line === '') {
      if (this.data.length) this.emit({ type: this.type || 'message', data: this.data.join('\n'), id: this.id });
      this.type = '';
      this.data = [];
      this.size = 0;
      return;
    }
    if (line.startsWith(':')) return;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.type = value;
    else if (field === 'id') this.id = value;
    else if (field === 'data') {
      this.size += value.length;
      if (this.size > this.maxEvent) throw new Error('the stream sent an event that is too long');
      this.data.push(value);
    }
  }
}
