/** The server refused: its message and HTTP status; status 0 if it couldn't be reached. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const TIMEOUT_SECONDS = 20;

/**
 * Sends one request, once: `Outbox` repeats writes, `untilReached` the others.
 *
 * @param {"GET" | "POST"} method
 * @param {string} path
 * @param {object} [body]
 * @param {typeof fetch} [fetcher]
 * @returns {Promise<any>} The JSON of the answer.
 * @throws {ApiError}
 */
export async function request(method, path, body, fetcher = fetch) {
  let response, answer;
  try {
    response = await fetcher(path, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000),
    });
    answer = await response.json().catch(() => null);
  } catch {
    throw new ApiError(0, "the server can't be reached");
  }
  if (!response.ok) {
    throw new ApiError(response.status, answer?.error ?? `the server answered with status ${response.status}`);
  }
  if (answer === null) {
    throw new ApiError(0, "the server's answer was cut off");
  }
  return answer;
}

/**
 * How long to wait before the next attempt.
 *
 * @param {number} attempt From 0.
 * @returns {number} Milliseconds.
 */
export function pause(attempt) {
  return Math.min(10_000, 500 * 2 ** attempt);
}

/**
 * Repeats a request until the server answers it.
 *
 * @template T
 * @param {() => Promise<T> | T} attempt
 * @param {(error: ApiError | null) => void} onState Called with each failure, and with null at the end.
 * @param {(milliseconds: number) => Promise<void>} wait
 * @returns {Promise<T>}
 * @throws {ApiError} If the server refuses permanently.
 */
export async function untilReached(attempt, onState, wait) {
  for (let attempts = 0; ; attempts++) {
    try {
      const answer = await attempt();
      onState(null);
      return answer;
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isTemporary) {
        throw error;
      }
      onState(error);
      await wait(pause(attempts));
    }
  }
}
