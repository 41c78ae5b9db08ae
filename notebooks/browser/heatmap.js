// Codes on a canvas that scrolls: a column for each frame, a row for each codebook.

const COLUMNS = 125; // ten seconds of the default codec
const UNUSED = 0.25; // opacity of codes that were not decoded

export class HeatMap {
  constructor(canvas, codebookSizes) {
    this.codebookSizes = codebookSizes;
    this.context = canvas.getContext("2d");
    [canvas.width, canvas.height] = [COLUMNS, codebookSizes.length];
  }

  clear() {
    this.context.clearRect(0, 0, COLUMNS, this.codebookSizes.length);
  }

  /** Add a frame on the right, each code as bright as it stands high in its codebook. */
  add(codes, nQ) {
    const { context, codebookSizes } = this;
    context.globalCompositeOperation = "copy";
    context.drawImage(context.canvas, -1, 0);
    context.globalCompositeOperation = "source-over";
    codebookSizes.forEach((size, k) => {
      const level = codes[k] / (size - 1);
      context.globalAlpha = k < nQ ? 1 : UNUSED;
      context.fillStyle = `oklch(${0.3 + 0.6 * level} 0.14 ${290 - 190 * level})`;
      context.fillRect(COLUMNS - 1, k, 1, 1);
    });
    context.globalAlpha = 1;
  }
}
