/** What the server knows of another peer. */
export interface PeerInfo {
  peer: string;
  /** One stay of the peer: another one after its program was started anew, or its session lost. */
  instance: string;
  meta: Record<string, unknown>;
  /** Whether this side is the polite one towards that peer. */
  polite: boolean;
  state: "joined" | "away";
}

export interface PeerEvent extends Omit<PeerInfo, "state"> {
  event: "joined" | "away" | "back" | "left";
  reason?: string;
}

/** What peers send each other. The server passes any other object on as well. */
export interface SignalData {
  description?: RTCSessionDescriptionInit;
  candidate?: RTCIceCandidateInit | null;
  custom?: unknown;
}

export interface RtcSignalOptions {
  room: string;
  /** The wanted id; the server gives one if it is missing. */
  peer?: string;
  /** What the other peers get to know of this one. */
  meta?: Record<string, unknown>;
  /** A token of the room, or a function that returns one for each connection. */
  token?: string | (() => string | Promise<string>);
  /** A class, if there is no global one. */
  WebSocket?: typeof WebSocket;
}

export interface RtcSignalEventMap {
  signal: CustomEvent<{ from: string; data: SignalData }>;
  peer: CustomEvent<PeerEvent>;
  /** The room is joined for the first time. */
  connected: CustomEvent<{ peer: string }>;
  /** The connection to the server is lost; the client connects again by itself. */
  disconnected: CustomEvent<{ reason: string }>;
  /** If `resumed` is false, up to `unacknowledged` messages of this client are lost. */
  reconnected: CustomEvent<{ resumed: boolean; unacknowledged: number }>;
  ice: CustomEvent<{ iceServers: RTCIceServer[]; expire?: number }>;
  refused: CustomEvent<{ code: string; message: string; ref?: number }>;
  closed: CustomEvent<{ code: number; reason: string }>;
}

/** A client of the signaling server. */
export declare class RtcSignal extends EventTarget {
  /** @param url The URL of the server, or the URLs of servers that share rooms. */
  constructor(url: string | string[], options: RtcSignalOptions);

  /** The other peers in the room, by their ids. */
  peers: Map<string, PeerInfo>;
  /** The id of this peer; null before it has joined. */
  peer: string | null;
  iceServers: RTCIceServer[];

  /** Connects and joins the room; rejects if the server refuses the client. */
  connect(): Promise<unknown>;
  /**
   * Sends data to a peer, to "*" for all, or to the only other peer. Resolves when the message is in
   * the queue; rejects with a RangeError if it is larger than the server's limit, and with a
   * TypeError if it has a lone surrogate.
   */
  send(data: SignalData, to?: string | null): Promise<void>;
  /** Reconnects at once, for example when the network has changed. */
  reconnectNow(): void;
  /** Leaves the room. */
  close(reason?: string): void;

  addEventListener<K extends keyof RtcSignalEventMap>(
    type: K,
    listener: (event: RtcSignalEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
