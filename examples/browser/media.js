// What the page sends: the camera, and where there is none, a drawing.

const SIZE = { width: 320, height: 240 };

/** Returns a track of a drawing that moves. `hue` is where its colors begin. */
export function drawing(hue) {
  const canvas = Object.assign(document.createElement("canvas"), SIZE);
  const context = canvas.getContext("2d");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const draw = () => {
    const seconds = performance.now() / 1000;
    const turn = still.matches ? 0 : seconds;
    const paint = context.createLinearGradient(0, 0, SIZE.width, SIZE.height);
    paint.addColorStop(0, `hsl(${hue + 20 * Math.sin(turn / 2)} 55% 34%)`);
    paint.addColorStop(1, `hsl(${hue + 70 + 20 * Math.cos(turn / 3)} 60% 22%)`);
    context.fillStyle = paint;
    context.fillRect(0, 0, SIZE.width, SIZE.height);
    context.fillStyle = "rgb(255 255 255 / 90%)";
    context.beginPath();
    context.arc(160 + 90 * Math.cos(turn), 76 + 32 * Math.sin(2 * turn), 20, 0, 7);
    context.fill();
    context.font = "600 30px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText(new Date().toLocaleTimeString("en", { hour12: false }), 160, 165);
  };
  draw();
  const timer = setInterval(draw, 50);
  const [track] = canvas.captureStream(20).getVideoTracks();
  track.addEventListener("ended", () => clearInterval(timer));
  return track;
}

/** Returns the camera's track; throws an Error that says why there is none. */
export async function camera() {
  if (!navigator.mediaDevices) throw new Error("the camera needs https");
  const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 20, max: 30 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
  return stream.getVideoTracks()[0];
}
