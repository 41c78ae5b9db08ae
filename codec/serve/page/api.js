// This server: requests and WebSockets with the API key, if it asks for one.

const BASE = new URL("..", import.meta.url);
const KEY = "api-key";

/** A request that the server refused. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Keep the key until the tab is closed. */
export const setKey = (key) => sessionStorage.setItem(KEY, key);

const getKey = () => sessionStorage.getItem(KEY);

/** The response to a request; `fetch` takes the options. Throws an ApiError if it is refused. */
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (getKey()) headers.set("Authorization", `Bearer ${getKey()}`);
  let response;
  try {
    response = await fetch(new URL(path, BASE), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached.", 0);
  }
  if (!response.ok) throw new ApiError(await reason(response), response.status);
  return response;
}

async function reason(response) {
  const body = await response.json().catch(() => null);
  return body?.error?.message ?? `The server answered ${response.status}.`;
}

/** A WebSocket of the server; browsers can send the key only as a subprotocol. */
export function connect(path) {
  const url = new URL(path, BASE);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url, getKey() ? ["realtime", `openai-insecure-api-key.${getKey()}`] : []);
  socket.binaryType = "arraybuffer";
  return socket;
}
