"""Publishes a moving picture and silence by the WHIP client of libav, until standard input ends."""

import argparse
import select
import sys
from fractions import Fraction

import av
import numpy as np

# How many pictures a second, and how many packets of audio for each.
RATE = 10
PACKETS = 5
SAMPLES = 960


def main() -> None:
    """Publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("certificate", help="PEM, of a key on a curve that OpenSSL takes")
    parser.add_argument("key", help="PEM")
    given = parser.parse_args()
    options = {
        "cert_file": given.certificate,
        "key_file": given.key,
        "whip_flags": "dtls_active",
        "handshake_timeout": "60000",
    }
    with av.open(given.url, "w", format="whip", options=options) as out:
        fast = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        video = out.add_stream("libx264", rate=RATE, options=fast)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio = out.add_stream("libopus", rate=48000, layout="stereo")
        number = 0
        while not select.select([sys.stdin], [], [], 1 / RATE)[0]:
            grey = np.full((120, 160, 3), number % 255, np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(picture))
            for packet in range(PACKETS):
                silence = av.AudioFrame(format="s16", layout="stereo", samples=SAMPLES)
                silence.planes[0].update(bytes(silence.planes[0].buffer_size))
                silence.sample_rate, silence.time_base = 48000, Fraction(1, 48000)
                silence.pts = (number * PACKETS + packet) * SAMPLES
                out.mux(audio.encode(silence))
            number += 1


if __name__ == "__main__":
    main()
