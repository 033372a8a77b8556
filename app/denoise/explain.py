"""Explanation of averaging for readers who never heard of non-local means."""

from __future__ import annotations

from ..shared import lead

QUESTION = "Which pixels is this pixel made of?"
SENTENCES = (
    "Most denoisers here replace a noisy pixel by a **weighted mean of pixels**, the learned ones "
    "average features. Point at the picture to see which pixels the chosen one averages, and how "
    "much each counts; a click pins."
)
_WHY = r"""
**Noise is as often too bright as too dark.** Average $n$ pixels that show the same thing and the
thing stays, while the noise shrinks to $1/\sqrt n$: 100 pixels leave a tenth of it. Average pixels
that show something else, and the picture blurs. So all depends on *which* pixels are averaged:

$$y_i = \frac{1}{C_i}\sum_j f(x_i, x_j)\, x_j \qquad C_i = \sum_j f(x_i, x_j)$$

$x_j$ are noisy pixels, $y_i$ is the pixel that comes out. $f$ is the **weight**: how much pixel
$j$ counts for pixel $i$. Dividing by $C_i$ makes the weights sum to 1. The denoisers differ in $f$
alone:

- **Mean, Gaussian**: a pixel counts if it is *near*. They never look at the picture, so edges blur.
- **Bilateral**: if it is near and of a *similar value*. But single values are noisy themselves.
- **Non-local means**: if its *surroundings* look alike. Whole patches are compared, and a patch of
  7 × 7 pixels is hard to mistake, even in noise. It may lie anywhere in the window.
- **Learned, non-local**: if *a trained network* takes it for similar. It averages features, not
  pixels.
"""
_TRY = """
1. Point at a smooth surface: hundreds of pixels share the weight, and most of the noise goes.
2. Point at a thin edge, such as the rim of an eye or a whisker: only pixels along the same edge
   count. That is why edges stay sharp. Where nothing looks alike, little is averaged and the noise
   stays.
3. Choose another denoiser above the picture, Gaussian, bilateral or learned, with the same pixel
   pinned.
4. Raise **h** of non-local means in the sidebar: more pixels count, until it is the plain mean of
   the window. Lower it: only the pixel itself is left, noise and all.
5. Look at the *method noise* under the lens, noisy minus denoised. It should look like noise; where
   you can recognise the picture in it, the denoiser took detail away.
"""


def draw() -> None:
    """Draw the head of the page."""
    lead.draw(QUESTION, SENTENCES, {"What to try": _TRY, "Why does averaging help?": _WHY})
