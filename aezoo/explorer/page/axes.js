// A slider for each latent axis.

const DIGITS = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export class Axes {
  /** `moved(latents)` is called with all latents when one of them was set. */
  constructor(list, axes, moved) {
    this.rows = axes.map(({ index, low, high }) => {
      const item = document.createElement("li");
      const label = document.createElement("label");
      const slider = document.createElement("input");
      const value = document.createElement("output");
      label.textContent = `z${subscript(index)}`;
      label.htmlFor = slider.id = `axis-${index}`;
      value.htmlFor = slider.id;
      slider.setAttribute("aria-label", `latent axis ${index}`);
      Object.assign(slider, { type: "range", min: low, max: high, step: (high - low) / 200 });
      slider.addEventListener("input", () => {
        const latents = Float32Array.from(this.latents);
        latents[index] = Number(slider.value);
        moved(latents);
      });
      item.append(label, slider, value);
      list.append(item);
      return { index, slider, value };
    });
  }

  show(latents) {
    this.latents = latents;
    for (const { index, slider, value } of this.rows) {
      if (document.activeElement !== slider || Math.abs(slider.value - latents[index]) > slider.step)
        slider.value = latents[index]; // a slider in use is left where the hand has it
      value.textContent = DIGITS.format(latents[index]);
    }
  }
}

function subscript(number) {
  return [...String(number)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");
}
