// The server's side of the page: JSON requests and the event stream with its reconnects.
//
// The stream is read with fetch, not EventSource: so that a refusal (401, 403, 503) is told apart from a lost
// line, a silent line is noticed, and the page decides when to come back.

import { SseParser } from './sse';

export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: no answer at all
    message: string,
  ) {
    super(message);
  }
}

export function apiUrl(path: string, query: Record<string, string | number | null | undefined> = {}): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(query)) if (v !== null && v !== undefined) q.set(k, String(v));
  const text = q.toString();
  return `api/v1/${path}${text ? `?${text}` : ''}`;
}

export async function getJson<T>(
  path: string,
  query: Record<string, string | number | null | undefined> = {},
  signal?: AbortSignal,
): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(apiUrl(path, query), { signal: signal ?? null, cache: 'no-store' });
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new ApiError(0, 'the server does not answer');
  }
  if (!answer.ok) {
    let message = `${answer.status} ${answer.statusText}`.trim();
    try {
      const body = (await answer.json()) as { error?: { message?: string } };
      if (body.error?.message) message = body.error.message;
    } catch {
      // Not JSON: the status line has to do.
    }
    throw new ApiError(answer.status, message);
  }
  return (await answer.json()) as T;
}

/* Sentence for a person: what is wrong and what to do. */
export function explain(e: unknown, what: string): string {
  if (e instanceof ApiError) {
    if (e.status === 401 || e.status === 403)
      return `Not allowed to see ${what}. Open the address that tickcast printed in its terminal: it holds the token.`;
    if (e.status === 0) return `Cannot load ${what}: the server does not answer. The page tries again by itself.`;
    if (e.status === 404) return `The server does not know ${what}: ${e.message}.`;
    return `Cannot load ${what}: ${e.message}. Reload the page if this stays.`;
  }
  return `Cannot load ${what}: ${e instanceof Error ? e.message : String(e)}.`;
}

export type ConnState = 'connecting' | 'live' | 'lost' | 'catching-up' | 'denied';

export interface StreamHandlers {
  event(type: string, data: unknown): void;
  state(state: ConnState, detail: { attempt: number; retryInMs: number; reason: string }): void;
}

const SILENCE_MS = 6000; // status comes each second; comments each 15 s only when nothing else does
const BACKOFF_MS = [150, 300, 600, 1000, 1500, 2000];

export class Stream {
  private lastId: string | null = null;
  private abort: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private watchdog: ReturnType<typeof setInterval> | null = null;
  private attempt = 0;
  private lastByte = 0;
  private wasLive = false;
  private generation = 0;

  constructor(
    private handlers: StreamHandlers,
    private symbols: () => string | null, // comma list, null = all
  ) {}

  start(): void {
    this.connect('starting');
    this.watchdog ??= setInterval(() => {
      if (this.abort && this.silentMs > SILENCE_MS) this.again('nothing came', true);
    }, 1000);
  }

  /* Since anything came, by the wall clock: it goes on while the machine sleeps. */
  get silentMs(): number {
    return Date.now() - this.lastByte;
  }

  /* Comes back at once: after sleep, when the network returned, or with another list of symbols. */
  kick(reason: string): void {
    this.attempt = 0;
    this.again(reason, true);
  }

  private again(reason: string, now: boolean): void {
    this.generation++;
    this.abort?.abort();
    this.abort = null;
    if (this.timer !== null) clearTimeout(this.timer);
    const base = BACKOFF_MS[Math.min(this.attempt, BACKOFF_MS.length - 1)] ?? 2000;
    const wait = now ? 0 : base * (0.75 + Math.random() * 0.5);
    this.attempt++;
    this.handlers.state(this.wasLive ? 'lost' : 'connecting', { attempt: this.attempt, retryInMs: wait, reason });
    this.timer = setTimeout(() => {
      this.timer = null;
      this.connect(reason);
    }, wait);
  }

  private connect(reason: string): void {
    const mine = ++this.generation;
    const abort = new AbortController();
    this.abort = abort;
    this.lastByte = Date.now();
    this.read(abort.signal, mine).then(
      () => mine === this.generation && this.again('the server ended the stream', false),
      (e: unknown) => {
        if (mine !== this.generation) return;
        if (e instanceof ApiError && (e.status === 401 || e.status === 403)) {
          this.abort = null;
          this.handlers.state('denied', { attempt: this.attempt, retryInMs: 0, reason: e.message });
          return;
        }
        this.again(e instanceof Error ? e.message : reason, false);
      },
    );
  }

  private async read(signal: AbortSignal, mine: number): Promise<void> {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (this.lastId !== null) headers['Last-Event-ID'] = this.lastId;
    const answer = await fetch(apiUrl('stream', { symbols: this.symbols() }), {
      headers,
      signal,
      cache: 'no-store',
    });
    if (!answer.ok || !answer.body) throw new ApiError(answer.status, answer.statusText || `status ${answer.status}`);
    const parser = new SseParser((e) => {
      if (mine === this.generation) this.take(e.type, e.data, e.id);
    });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.lastByte = Date.now();
      parser.feed(value);
    }
  }

  private take(type: string, data: string, id: string | null): void {
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      if (type !== 'reset') return; // one damaged event: the next ones still hold
      value = null;
    }
    if (type === 'hello') {
      const back = this.wasLive;
      this.wasLive = true;
      this.attempt = 0;
      this.handlers.state(back ? 'catching-up' : 'live', { attempt: 0, retryInMs: 0, reason: '' });
    }
    this.handlers.event(type, value);
    if (id !== null) this.lastId = id;
  }
}
