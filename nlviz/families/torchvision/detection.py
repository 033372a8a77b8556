"""torchvision's detection networks with non-local blocks; see ``networks.detection``.

Such a network resizes frames (shorter side 800, longer at most 1333) and pads them at the bottom
and on the right to a multiple of 32. A block sees the padding too, so it takes part in every row;
but it is no place of the clip, so its tokens come first, as the prefix of a grid that covers the
frame alone. Blocks in the keypoint or mask head run on one object at a time, on a grid inside its
box: they have one affinity per object.
Cells: a ResNet's odd kernels are padded by half, so cell m of stride s lies at pixel s m of the
resized frame; RoIAlign's cell m of n lies at (m + 1/2) / n of the box.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.clips.clip import Clip
from nlviz.clips.detections import Detection, numbered
from nlviz.clips.point import Shape
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import Branch, InputSpec, Prepared, features_of, place
from nlviz.families.reading.card import ModelCard
from nlviz.families.reading.own_blocks import OwnBlockAdapter, block_affinity
from nlviz.families.torchvision.checkpoint import TorchvisionDetectionLayout
from nlviz.networks.attention.running import Edit
from nlviz.networks.attention.sites import Site, tokens_site
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.calls import RUN
from nlviz.networks.hooks import Call

HEADS = {"keypoint_head": "keypoint_roi_pool", "mask_head": "mask_roi_pool"}
BETWEEN = " · "  # between the name of a head's block and that of the object


@dataclass(frozen=True)
class _Found:
    """One detected object that is kept: on which frame, and where in the network's lists."""

    frame: int
    rank: int  # among the frame's
    row: int  # among all frames', as the heads see them
    label: str
    number: int
    score: float

    @property
    def name(self) -> str:
        return f"{self.label} {self.number}"


class DetectionAdapter(OwnBlockAdapter):
    """Reads blocks in the backbone and in the keypoint or mask head of a detection network.

    Attributes:
        least_score: detections below it are left out.
        most_detections: of a clip; the most certain are kept.
        most_objects: of a clip that get affinities of a head's blocks; the most certain.
    """

    traces = False  # the stride follows from the sizes

    def __init__(
        self, *, least_score: float = 0.5, most_detections: int = 64, most_objects: int = 8
    ) -> None:
        self.least_score = least_score
        self.most_detections, self.most_objects = most_detections, most_objects

    def blocks(self, net: nn.Module) -> dict[str, NonLocalBlock]:
        """Return the blocks by the layer they were put behind, without ``roi_heads.``.

        Blocks in the proposal network or the box head run on proposals, not on what is detected;
        they have no map that could be shown, and are left out.
        """
        from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

        if not isinstance(net, GeneralizedRCNN):
            return {}
        found = {}
        for name, module in net.named_modules():
            if isinstance(module, NonLocalBlock):
                where = (module.place or name).removeprefix("roi_heads.")
                if where.split(".")[0] in ("backbone", *HEADS):
                    found[where] = module
        order = {
            f"{n}".removeprefix("roi_heads."): i for i, (n, _) in enumerate(net.named_modules())
        }
        return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return blocks and their ``attend``, and the modules that give sizes, boxes and scores."""
        found = super().modules(net)
        heads = cast(nn.Module, net.roi_heads)
        found["transform"] = cast(nn.Module, net.transform)
        found["roi_heads"] = heads
        found["box_predictor"] = cast(nn.Module, heads.box_predictor)
        for pool in HEADS.values():
            if isinstance(getattr(heads, pool, None), nn.Module):
                found[pool] = getattr(heads, pool)
        return found

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (T, 3, H, W) in [0, 1]: the network resizes, normalises and pads by itself."""
        frames = torch.tensor(clip.frames).permute(0, 3, 1, 2)
        return Prepared(frames.float().div_(255), Axis(), Axis(), clip.shape)

    def readings(
        self, blocks: Mapping[str, nn.Module], calls: Mapping[str, Call]
    ) -> dict[str, nn.Module]:
        """Return the blocks by the names of what is read: those of heads once per object.

        The most certain objects only, see ``most_objects``: those of label ``person 2`` get
        ``keypoint_head.3 · person 2``.
        """
        found = self._kept(calls)
        first = sorted(found, key=lambda f: -f.score)[: self.most_objects]
        objects = [f for f in found if f in first]
        named: dict[str, nn.Module] = {}
        for name, block in blocks.items():
            if name.split(".")[0] in HEADS:
                named.update({f"{name}{BETWEEN}{f.name}": block for f in objects})
            else:
                named[name] = block
        return named

    def queries(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call], prepared: Prepared
    ) -> TokenGrid:
        """Return the grid of a block with the padding, or of one object in a head's block."""
        y, x, _ = _resized(calls, prepared.clip_shape)
        layer, _, person = name.partition(BETWEEN)
        if person:
            found = self._found(person, calls)
            cells = calls[layer].args[0].shape[-2:]
            return _in_box(found, _boxes(calls, layer)[found.row], cells, y, x)
        t, h, w = features_of(calls[layer].args[0]).shape[1:]
        padded = calls["transform"].output[0].tensors.shape[-2:]
        strides = [_stride(full, cells) for full, cells in zip(padded, (h, w), strict=True)]
        axes = (place(Axis(s), axis) for s, axis in zip(strides, (y, x), strict=True))
        return TokenGrid.of_axes((t, h, w), Axis(), *axes)

    def read(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call], prepared: Prepared
    ) -> EmbeddedAffinity:
        """Return the affinity of a block without the padding, or of one object in a head's."""
        layer, _, person = name.partition(BETWEEN)
        attend = calls[f"{layer}.attend"]
        if person:
            row = self._found(person, calls).row
            mine = (*(t[row : row + 1] for t in attend.args[:-1]), attend.args[-1])
            attend = Call(mine, attend.output[row : row + 1])
        queries = self.queries(name, block, calls, prepared)
        affinity = block_affinity(
            name, block, attend, queries=queries, clip_shape=prepared.clip_shape
        )
        if person:
            return affinity
        padded = calls["transform"].output[0].tensors.shape[-2:]
        size = _resized(calls, prepared.clip_shape)[2]
        return _without_padding(affinity, _inside(queries.shape[1:], padded, size), block)

    def features(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call]
    ) -> Float[Tensor, "channels t h w"]:
        """Return what entered the block, without the padding or of the one object."""
        layer, _, person = name.partition(BETWEEN)
        x: Tensor = calls[layer].args[0]
        if person:
            return x[self._found(person, calls).row][:, None]
        x = features_of(x)
        images = calls["transform"].output[0]
        h, w = _inside(x.shape[-2:], images.tensors.shape[-2:], images.image_sizes[0])
        return x[..., :h, :w]

    def site(self, name: str, block: NonLocalBlock, calls: Mapping[str, Call]) -> Site | None:
        """Return where the rows of one object are, or those of a block without the padding."""
        layer, _, person = name.partition(BETWEEN)
        theta: Tensor
        theta, phi = calls[f"{layer}.attend"].args[:2]
        batch, heads, n = theta.shape[:3]
        keys = phi.shape[2]
        if person:
            own = tokens_site(heads, 1, n, keys).groups[0]
            at = own.entries + self._found(person, calls).row * heads
            return Site("", (replace(own, entries=at),), entries=batch * heads)
        cells = features_of(calls[layer].args[0]).shape[1:]
        images = calls["transform"].output[0]
        inside = _inside(cells[1:], images.tensors.shape[-2:], images.image_sizes[0])
        whole = TokenGrid((cells[0], cells[1], cells[2]))
        pooled = whole.pooled((1, block.pool, block.pool)) if block.pool > 1 else whole
        orders = (_cropped(whole, inside)[1], _cropped(pooled, _pooled(inside, block))[1])
        of_query, of_key = (order.argsort() for order in orders)
        found = tokens_site(heads, batch, n, keys)
        return Site(
            "",
            tuple(
                replace(g, queries=of_query[g.queries], keys=of_key[g.keys]) for g in found.groups
            ),
        )

    def running(
        self, net: nn.Module, name: str, affinity: Affinity, edit: Edit
    ) -> AbstractContextManager[None]:
        """Return a context in which the product of a block is edited, of all objects at once."""
        layer, _, person = name.partition(BETWEEN)
        _, mark, run = person.rpartition(RUN)
        own = f"{layer}{RUN}{run}" if mark and run.isdecimal() else layer
        return super().running(net, own, affinity, edit)

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which the block returns what it was given, for all objects."""
        return super().bypass(net, name.partition(BETWEEN)[0])

    def branch(self, net: nn.Module, name: str) -> Branch | None:
        """Return where to see what the block adds, for all objects."""
        return super().branch(net, name.partition(BETWEEN)[0])

    def detections(self, output: Any, calls: Mapping[str, Call]) -> tuple[Detection, ...]:
        """Return what was detected: frame after frame, the most certain first.

        Args:
            output: one dict per frame, as torchvision's networks return it.
            calls: what was recorded.
        """
        return tuple(
            _detection(found, output[found.frame], found.rank) for found in self._kept(calls)
        )

    def _found(self, person: str, calls: Mapping[str, Call]) -> _Found:
        return next(f for f in self._kept(calls) if f.name == person)

    def _kept(self, calls: Mapping[str, Call]) -> list[_Found]:
        """Return the detections that are kept, numbered within their label."""
        results = calls["roi_heads"].output[0]
        every = []
        row = 0
        for frame, result in enumerate(results):
            classes = result["labels"].tolist()
            for rank, score in enumerate(result["scores"].tolist()):
                if score >= self.least_score:
                    every.append((score, frame, rank, row + rank, classes[rank]))
            row += len(classes)
        every = sorted(sorted(every, reverse=True)[: self.most_detections], key=lambda e: e[3])
        names = _labels(calls)
        labels = [names[c] if c < len(names) else f"class {c}" for *_, c in every]
        return [
            _Found(frame, rank, at, label, number, score)
            for (score, frame, rank, at, _), label, number in zip(
                every, labels, numbered(labels), strict=True
            )
        ]


def _detection(found: _Found, result: Mapping[str, Tensor], rank: int) -> Detection:
    left, top, right, bottom = (float(v) for v in result["boxes"][rank])
    mask = keypoints = None
    if "masks" in result:
        mask = (result["masks"][rank, 0] >= 0.5).cpu().numpy()
    if "keypoints" in result:
        x, y, _ = result["keypoints"][rank].float().unbind(-1)
        logit = result["keypoints_scores"][rank].float()
        keypoints = torch.stack([y, x, logit], -1).cpu().numpy()
    return Detection(
        found.frame, found.label, found.number, found.score, (top, left, bottom, right), mask,
        keypoints,
    )  # fmt: skip


def _labels(calls: Mapping[str, Call]) -> tuple[str, ...]:
    """Return the names of the classes, by their number: COCO's, or a person's and nothing else."""
    from torchvision.models.detection import (
        KeypointRCNN_ResNet50_FPN_Weights,
        MaskRCNN_ResNet50_FPN_Weights,
    )

    classes = calls["box_predictor"].output[0].shape[-1]
    keypoints = any("keypoints" in result for result in calls["roi_heads"].output[0])
    known = KeypointRCNN_ResNet50_FPN_Weights if keypoints else MaskRCNN_ResNet50_FPN_Weights
    names = tuple(known.COCO_V1.meta["categories"])
    return names if len(names) == classes else ()


def _resized(calls: Mapping[str, Call], clip_shape: Shape) -> tuple[Axis, Axis, tuple[int, int]]:
    """Return where the resized frame's rows and columns lie in the clip, and its size."""
    height, width = calls["transform"].output[0].image_sizes[0]
    _, full_height, full_width = clip_shape
    # Pixel i covers the clip from i / f to (i + 1) / f: its centre lies at (i + 0.5) / f - 0.5.
    y, x = (Axis(n / m, (n / m - 1) / 2) for n, m in ((full_height, height), (full_width, width)))
    return y, x, (height, width)


def _stride(full: int, cells: int) -> int:
    """Return the stride of a feature map, a power of two, from sizes that may be rounded up."""
    return 1 << round(math.log2(full / cells))


def _inside(
    cells: tuple[int, ...], padded: tuple[int, ...], size: tuple[int, ...]
) -> tuple[int, int]:
    """Return how many rows and columns of cells have their centre inside the resized frame."""
    h, w = (
        min(n, (real - 1) // _stride(full, n) + 1)
        for n, full, real in zip(cells, padded, size, strict=True)
    )
    return h, w


def _without_padding(
    affinity: EmbeddedAffinity, inside: tuple[int, int], block: NonLocalBlock
) -> EmbeddedAffinity:
    """Return the affinity on the frame alone; the tokens of the padding come first."""
    queries, query_order = _cropped(affinity.queries, inside)
    keys, key_order = _cropped(affinity.keys, _pooled(inside, block))
    values, output = affinity.values, affinity.output
    return replace(
        affinity,
        theta=affinity.theta[:, query_order],
        phi=affinity.phi[:, key_order],
        values=None if values is None else values[:, key_order],
        output=None if output is None else output[:, query_order],
        queries=queries,
        keys=keys,
        support=affinity.support.with_own_prefix(),  # frames that see their padding alone
        prefix_name="the padding around the picture",
    )


def _pooled(inside: tuple[int, int], block: NonLocalBlock) -> tuple[int, int]:
    return max(inside[0] // block.pool, 1), max(inside[1] // block.pool, 1)


def _cropped(grid: TokenGrid, inside: tuple[int, int]) -> tuple[TokenGrid, Tensor]:
    """Return the grid of the first rows and columns, and its tokens after all the others."""
    t, h, w = grid.shape
    kept = torch.zeros(t, h, w, dtype=torch.bool)
    kept[:, : inside[0], : inside[1]] = True
    flat = kept.flatten()
    order = torch.cat([(~flat).nonzero()[:, 0], flat.nonzero()[:, 0]])
    prefix = int((~flat).sum())
    return replace(grid, shape=(t, *inside), prefix=prefix), order


def _boxes(calls: Mapping[str, Call], layer: str) -> list[tuple[float, ...]]:
    """Return the boxes that a head pooled, (left, top, right, bottom) in the resized frame.

    RoIAlign widens a box to one cell of the feature map that it reads, so these do too.
    """
    call = calls[HEADS[layer.split(".")[0]]]
    features, boxes = call.args[0], call.args[1]
    padded = calls["transform"].output[0].tensors.shape[-1]
    strides = [_stride(padded, f.shape[-1]) for name, f in features.items() if name != "pool"]
    widened: list[tuple[float, ...]] = []
    for left, top, right, bottom in torch.cat(boxes).tolist():
        side = max((right - left) * (bottom - top), 1e-12) ** 0.5
        # Equation (1) of the FPN paper (Lin et al. 2017): level 4 of stride 16 for 224 pixels.
        level = math.floor(4 + math.log2(side / 224) + 1e-6)
        least = min(max(2**level, strides[0]), strides[-1])
        widened.append((left, top, max(right, left + least), max(bottom, top + least)))
    return widened


def _in_box(
    found: _Found, box: tuple[float, ...], cells: tuple[int, int], y: Axis, x: Axis
) -> TokenGrid:
    left, top, right, bottom = box
    (h, w) = cells
    step_y, step_x = (bottom - top) / h, (right - left) / w
    return TokenGrid.of_axes(
        (1, h, w),
        Axis(1.0, float(found.frame)),
        place(Axis(step_y, top + step_y / 2), y),
        place(Axis(step_x, left + step_x / 2), x),
    )


def _card(kind: str, digest: str, accuracy: str) -> ModelCard:
    file_name = f"{kind}rcnn_resnet50_fpn_coco-{digest}.pth"
    return ModelCard(
        name=f"{kind}-rcnn-nl-r50",
        family="torchvision-detection",
        trained_for="detection on COCO; its non-local blocks are not trained",
        licence="BSD-3-Clause",
        paper="arXiv 1703.06870, arXiv 1711.07971 (blocks)",
        labels="",
        source="https://github.com/pytorch/vision",
        url=f"https://download.pytorch.org/models/{file_name}",
        file_name=file_name,
        digest=digest,
        accuracy=f"{accuracy} on COCO val2017, with blocks that change nothing",
        input="each frame resized to a shorter side of 800; RGB in [0, 1]",
        note="Nobody published weights for the blocks: they are put in fresh.",
    )


FAMILY = Family(
    name="torchvision-detection",
    row=TableRow(
        source="https://github.com/pytorch/vision",
        networks="Mask and Keypoint R-CNN, fresh blocks in res4 and in the keypoint head",
        live="nlviz's blocks in the backbone and in the mask or keypoint head",
        recognised_by="`roi_heads`",
        not_told="–",
        parity="boxes bit-equal, rows",
        health="size, rows",
    ),
    blocks=DetectionAdapter(),
    checkpoint=TorchvisionDetectionLayout(),
    needs="torchvision.models.detection",
    cards=(
        _card("mask", "bf2d0c1e", "box / mask AP 37.9 / 34.6"),
        _card("keypoint", "fc266e95", "box / keypoint AP 54.6 / 65.0"),
    ),
    aliases=("detection",),
)
