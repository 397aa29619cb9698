"""The seam: every private name of aiortc and aioice that restartice uses.

aiortc offers no hooks for what restartice does, so it overrides methods that Python mangled and
reads attributes that are private. All of them stand here, under names of ours, and are looked up
when this package is imported: with a version of aiortc or aioice that lacks one, the import fails
with one sentence that says which, instead of a connection that fails in mid-call.
"""

from .aborting import abort_data, abort_dtls, abort_receiver, abort_sender
from .data import (
    acknowledge_data,
    is_established,
    oldest_unacknowledged,
    repeat_data,
    round_trip_of,
    transport_stats,
)
from .dtls import AiortcDtlsTransport, PreparedCertificate, try_certificate
from .ice import (
    AioiceConnection,
    CandidatePair,
    address_of,
    candidate_from_aioice,
    candidate_to_aioice,
    forget_transaction,
    hear_answers,
    host_addresses,
    ice_connection_kwargs,
    is_role_conflict,
    is_signed,
    is_signed_success,
    keep_latest,
    new_ice_connection,
    pair_priority,
    repeat_requests,
    send_indication,
    send_request,
    set_controlling,
    transport_policy,
)
from .media import (
    AiortcJitterBuffer,
    AiortcRtpReceiver,
    AiortcRtpSender,
    ReceiverView,
    RemoteStreamTrack,
    SenderView,
    TransceiverView,
    is_new_video_buffer,
    pair,
    send_keyframe,
    set_track_id,
)
from .names import SUPPORTED, check, on_top_of, required_names
from .nomination import nomination_of, numbered
from .peerconnection import (
    NEGOTIATED_STATE,
    ConnectionView,
    HookedPeerConnection,
    dissociate,
    has_common_codec,
    kept_codecs,
    mark_bundled,
    mline_index,
    set_mid,
    set_mline_index,
)
from .sctp import AiortcSctpTransport
from .sctp_packets import checksum_matches, gaps_fit, make_chunk
from .sockets import StunProtocol, is_aioices, make_socket
from .turn import (
    Redirected,
    abandon_allocation,
    hear_redirections,
    hear_refusals,
    open_allocation,
    turn_client,
)

__all__ = [
    "NEGOTIATED_STATE",
    "SUPPORTED",
    "AioiceConnection",
    "AiortcDtlsTransport",
    "AiortcJitterBuffer",
    "AiortcRtpReceiver",
    "AiortcRtpSender",
    "AiortcSctpTransport",
    "CandidatePair",
    "ConnectionView",
    "HookedPeerConnection",
    "PreparedCertificate",
    "ReceiverView",
    "Redirected",
    "RemoteStreamTrack",
    "SenderView",
    "StunProtocol",
    "TransceiverView",
    "abandon_allocation",
    "abort_data",
    "abort_dtls",
    "abort_receiver",
    "abort_sender",
    "acknowledge_data",
    "address_of",
    "candidate_from_aioice",
    "candidate_to_aioice",
    "checksum_matches",
    "dissociate",
    "forget_transaction",
    "gaps_fit",
    "has_common_codec",
    "hear_answers",
    "hear_redirections",
    "hear_refusals",
    "host_addresses",
    "ice_connection_kwargs",
    "is_aioices",
    "is_established",
    "is_new_video_buffer",
    "is_role_conflict",
    "is_signed",
    "is_signed_success",
    "keep_latest",
    "kept_codecs",
    "make_chunk",
    "make_socket",
    "mark_bundled",
    "mline_index",
    "new_ice_connection",
    "nomination_of",
    "numbered",
    "oldest_unacknowledged",
    "on_top_of",
    "open_allocation",
    "pair",
    "pair_priority",
    "repeat_data",
    "repeat_requests",
    "round_trip_of",
    "send_indication",
    "send_keyframe",
    "send_request",
    "set_controlling",
    "set_mid",
    "set_mline_index",
    "set_track_id",
    "transport_policy",
    "transport_stats",
    "try_certificate",
    "turn_client",
]

check(required_names)
