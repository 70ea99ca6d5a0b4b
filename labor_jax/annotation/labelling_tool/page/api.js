/** Statuses that judge the request itself, so that repeating it is of no use. */
const JUDGEMENTS = [400, 404, 405, 409, 413, 415, 422];

/** A token or a login is missing, or has changed. */
const NO_ACCESS = [401, 403, 407];

/** The server refused: its message and HTTP status; status 0 if it couldn't be reached. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {boolean} [isOwn] Whether the labelling tool answered, and not a proxy before it.
   */
  constructor(status, message, isOwn = true) {
    super(message);
    this.status = status;
    this._isOwn = isOwn;
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    // A proxy says 404 while the tool is away, but no proxy takes a body that is too large later.
    return !JUDGEMENTS.includes(this.status) || !(this._isOwn || this.status === 413);
  }

  /** Whether it succeeds once somebody has signed in. */
  get isNoAccess() {
    return NO_ACCESS.includes(this.status);
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
    throw refusal(response.status, answer?.error);
  }
  if (answer === null) {
    throw new ApiError(0, "the server's answer was cut off");
  }
  return answer;
}

/** @param {number} status @param {unknown} sentence The labelling tool's, if it answered. */
function refusal(status, sentence) {
  if (typeof sentence === "string") {
    return new ApiError(status, sentence);
  }
  const advice = NO_ACCESS.includes(status) ? "; sign in at this address in another tab" : "";
  return new ApiError(status, `the server answered with status ${status}${advice}`, false);
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
