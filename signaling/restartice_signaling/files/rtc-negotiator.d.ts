/** A message to the other side. */
export type NegotiatorMessage =
  | { description: RTCSessionDescriptionInit }
  | { candidate: RTCIceCandidateInit | null };

/**
 * What leads to the other side: an `RtcSignal`, or any object that sends. Pass what comes to
 * `receive()`, if the object has no event `signal` with `{from, data}`. Messages must keep their order.
 */
export interface NegotiatorSignaling {
  send(message: NegotiatorMessage, to?: string): unknown;
}

/** The times of restarts, in milliseconds. */
export interface RecoveryTimes {
  /** How long ICE must be `disconnected` before it is restarted; 1000. */
  disconnectedFor?: number;
  /** How long to wait after the network has changed; 500. */
  settleTime?: number;
  /** How much longer the polite side waits for the other one to restart; 1000. */
  giveWay?: number;
  /** The time from the begin of a restart to that of the next one, doubled after each; 3000. */
  firstWait?: number;
  /** The limit of that time; 15000. */
  longestWait?: number;
}

export interface NegotiatorOptions {
  /** The id of the other peer, if there may be more than one in the room. */
  peer?: string;
  /**
   * Whether this side gives way when both make an offer. If it is missing, the server decides; if
   * that doesn't know, the side whose offer was answered first is impolite, and before, the one whose
   * certificate has the lower fingerprint.
   */
  polite?: boolean;
  /**
   * Whether to negotiate in a data channel of the connection, once it is connected, if the other side
   * does, too. The channel has the id 1023. False if missing.
   */
  inBand?: boolean;
  /** Whether to restart ICE when the path is lost or the network changes, or the times of that. */
  recovery?: boolean | RecoveryTimes;
}

export interface NegotiatorEventMap {
  /** The path is lost. */
  lost: CustomEvent<{ state: "disconnected" | "failed" }>;
  /** It is back, after so many seconds. */
  back: CustomEvent<{ seconds: number }>;
  /** ICE is restarted. */
  restart: CustomEvent<{ reason: "failed" | "disconnected" | "network changed"; attempt: number }>;
  /**
   * The offer is that of another program or page, which has taken the place of the one before. This
   * connection can't serve it: make a new one, with a Negotiator that receives the description.
   */
  replaced: CustomEvent<{ description: RTCSessionDescriptionInit }>;
  /** Something went wrong, such as a description that can't be applied. Prevent the default, and it isn't logged. */
  error: CustomEvent<{ error: unknown }>;
}

/**
 * Negotiates whenever that is needed, and answers the other side, whatever both do at once. Make it
 * before adding tracks and channels. It may be made before the signaling is connected.
 *
 * Spec: https://w3c.github.io/webrtc-pc/#perfect-negotiation-example
 */
export declare class Negotiator extends EventTarget {
  /** Throws a TypeError if the signaling can't send, and a RangeError if a time of `recovery` is impossible. */
  constructor(pc: RTCPeerConnection, signaling: NegotiatorSignaling, options?: NegotiatorOptions);

  /** How many offers of the other side have come while ours was open. */
  readonly collisions: number;
  /** Whether this side gives way when both make an offer; false while that is open. */
  readonly polite: boolean;
  /** Whether negotiation needs no signaling at the moment, as the data channel carries it. */
  readonly inBand: boolean;

  /** Takes a message of the other side; other messages than of negotiation are ignored. */
  receive(message: { description?: RTCSessionDescriptionInit; candidate?: RTCIceCandidateInit | null }): void;
  /** Stops negotiating. Neither the connection nor the signaling is closed. */
  close(): void;

  addEventListener<K extends keyof NegotiatorEventMap>(
    type: K,
    listener: (event: NegotiatorEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
