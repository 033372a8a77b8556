"""Cards of the weights that can be had by name: address, training, licence, accuracy.

The facts are those of the model tables in the repositories that each card names as its source.
A name is ``architecture-depth.data-source``, with what tells its variants apart at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class ModelCard:
    """What is known of a set of weights.

    Attributes:
        name: ``architecture`` or ``architecture.tag``.
        family: of the layout, see ``nlviz.families``.
        trained_for: one phrase for titles.
        licence: of the weights.
        paper: where the architecture is described.
        labels: name of the list of class names, or empty.
        source: page of the repository that published them.
        weights: bundled file under ``assets/weights``; its card, the .json beside it, holds the
            digest and what the weights saw in training. Empty where they are downloaded.
        url: where they are downloaded from; empty where no address is known.
        file_name: of the download.
        digest: the sha256 or how it begins; ``sha1:`` and a sha1 where the source gives that; empty
            where nothing was published.
        non_commercial: whether the licence forbids commercial use.
        accuracy: published, in percent, with the protocol; one clip alone gives less.
        input: frames, stride and normalisation in words.
        flags: overrides that the file needs, because neither its keys nor its name tell.
        note: one sentence about a trap, or how the file is made.
    """

    name: str
    family: str
    trained_for: str
    licence: str
    paper: str
    labels: str
    source: str = ""
    weights: str = ""
    url: str = ""
    file_name: str = ""
    digest: str = ""
    non_commercial: bool = False
    accuracy: str = ""
    input: str = ""
    flags: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    note: str = ""


_KINETICS = "action recognition on Kinetics-400"
_NON_LOCAL = "arXiv 1711.07971"
_VIEWS = "10 clips x 3 crops of 256"
_GREY = "RGB, (value - 114.75) / 57.375"
_IMAGENET = "RGB, ImageNet's mean and deviation"


def _caffe2(arch: str, sampling: str, top: str, *, base: str = "IN") -> ModelCard:
    file_name = f"{arch}_nonlocal_{sampling}_{base}_pretrain_400k.pkl"
    frames, stride = sampling.split("x")
    long = base == "I3D"
    return ModelCard(
        name=f"{arch}-nl-r50.k400-caffe2-{sampling}",
        family="caffe2",
        trained_for=_KINETICS,
        licence="CC-BY-NC 4.0",
        non_commercial=True,
        paper=_NON_LOCAL,
        labels="kinetics400",
        source="https://github.com/facebookresearch/video-nonlocal-net",
        url=f"https://dl.fbaipublicfiles.com/video-nonlocal/{file_name}",
        file_name=file_name,
        accuracy=f"top-1 / top-5 {top}, {_VIEWS}",
        input=f"{frames} frames, every {stride}.; {_GREY}",
        note="Frames see only groups of four of each other in res3." if long else "",
    )


def _mmaction2(
    name: str,
    kind: str,
    folder: str,
    tail: str,
    accuracy: str,
    clip: str,
    *,
    digest: bool = True,
    note: str = "",
) -> ModelCard:
    detection = kind.startswith("detection")
    file_name = f"{folder}_{tail}.pth"
    root = "https://download.openmmlab.com/mmaction/v1.0"
    return ModelCard(
        name=name,
        family="mmaction2",
        trained_for="action detection on AVA 2.1" if detection else _KINETICS,
        licence="Apache-2.0",
        paper=_NON_LOCAL,
        labels="" if detection else "kinetics400",
        source=f"https://github.com/open-mmlab/mmaction2/tree/main/configs/{kind}",
        url=f"{root}/{kind}/{folder}/{file_name}",
        file_name=file_name,
        digest=tail.rsplit("-", 1)[1] if digest else "",
        accuracy=accuracy,
        input=f"{clip}; {_IMAGENET}",
        note=note,
    )


def _gluoncv(blocks: int, depth: int, sha1: str, top1: str) -> ModelCard:
    stem = f"i3d_nl{blocks}_resnet{depth}_v1_kinetics400"
    return ModelCard(
        name=f"i3d-nl{blocks}-r{depth}.k400-gluoncv",
        family="gluoncv",
        trained_for=_KINETICS,
        licence="Apache-2.0",
        paper=_NON_LOCAL,
        labels="kinetics400",
        source="https://github.com/dmlc/gluon-cv",
        url="https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/torch/models/"
        f"{stem}-{sha1[:8]}.pth",
        file_name=f"{stem}-{sha1[:8]}.pth",
        digest=f"sha1:{sha1}",
        accuracy=f"top-1 {top1}, 10 clips x 3 crops",
        input=f"32 frames, every 2.; {_IMAGENET}",
        note="Its code calls the blocks gaussian; they compute the embedded Gaussian, on all keys.",
    )


_I3D_MM = "i3d_imagenet-pretrained-r50-nl-{}_8xb8-32x2x1-100e_kinetics400-rgb"
_SLOW_MM = "slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-{}-steplr-150e_kinetics400-rgb"
_TSM_MM = "tsm_imagenet-pretrained-r50-nl-{}_8xb16-1x1x8-50e_kinetics400-rgb"
_AVA_MM = "slowonly_kinetics400-pretrained-r50-nl_8xb16-{}-20e_ava21-rgb"
_AVA_NOTE = (
    "Its head sees boxes of persons, which are not drawn here; the blocks are those of a clip."
)


def _detection(kind: str, digest: str, accuracy: str) -> ModelCard:
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


_TSM_CLIP = "8 frames, spread evenly"

CARDS: dict[str, ModelCard] = {
    card.name: card
    for card in (
        ModelCard(
            name="lite-nl",
            family="lite-nl",
            weights="lite-nl.safetensors",
            trained_for="correspondence between frames, not a recognition task",
            licence="Apache-2.0",
            paper="arXiv 1711.07971 (blocks), arXiv 1905.11946 (backbone)",
            labels="imagenet",
            input="any number of frames; RGB, (value - 127) / 128",
        ),
        _detection("mask", "bf2d0c1e", "box / mask AP 37.9 / 34.6"),
        _detection("keypoint", "fc266e95", "box / keypoint AP 54.6 / 65.0"),
        _caffe2("c2d", "32x2", "73.9 / 91.0"),
        _caffe2("c2d", "8x8", "74.4 / 91.4"),
        _caffe2("i3d", "32x2", "74.9 / 91.6"),
        _caffe2("i3d", "8x8", "74.7 / 91.6"),
        _caffe2("i3d", "32x4", "76.5 / 92.6", base="I3D"),
        _caffe2("i3d", "128x1", "76.5 / 92.7", base="I3D"),
        ModelCard(
            name="i3d-nl-r50.k400-slowfast",
            family="caffe2",
            trained_for=_KINETICS,
            licence="Apache-2.0",
            paper=_NON_LOCAL,
            labels="kinetics400",
            source="https://github.com/facebookresearch/SlowFast/blob/main/MODEL_ZOO.md",
            url="https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/kinetics400/"
            "I3D_NLN_8x8_R50.pkl",
            file_name="I3D_NLN_8x8_R50.pkl",
            accuracy=f"top-1 / top-5 74.0 / 91.1, {_VIEWS}",
            input="8 frames, every 8.; RGB, (value / 255 - 0.45) / 0.225",
            flags=MappingProxyType({"pool1_pad": 1, "frames": 8, "stride": 8}),
        ),
        *(
            _mmaction2(
                f"i3d-nl-r50.k400-mmaction2-{short}",
                "recognition/i3d",
                _I3D_MM.format(mode),
                f"20220812-{tail}",
                f"top-1 / top-5 {top}, {_VIEWS}",
                "32 frames, every 2.",
            )
            for short, mode, tail, top in (
                ("dot", "dot-product", "8e1f2148", "74.80 / 92.07"),
                ("embedded", "embedded-gaussian", "afd8f562", "74.73 / 91.80"),
                ("gaussian", "gaussian", "0c5cbf5a", "73.97 / 91.33"),
            )
        ),
        _mmaction2(
            "slowonly-nl-r50.k400-mmaction2-4x16",
            "recognition/slowonly",
            _SLOW_MM.format("4x16x1"),
            "20220901-cf739c75",
            f"top-1 / top-5 75.07 / 91.69, {_VIEWS}",
            "4 frames, every 16.",
        ),
        _mmaction2(
            "slowonly-nl-r50.k400-mmaction2-8x8",
            "recognition/slowonly",
            _SLOW_MM.format("8x8x1"),
            "20220901-df42dc84",
            f"top-1 / top-5 76.65 / 92.47, {_VIEWS}",
            "8 frames, every 8.",
            digest=False,
            note="The table gives the same digest to the network without blocks, so it is not "
            "checked.",
        ),
        *(
            _mmaction2(
                f"tsm-nl-r50.k400-mmaction2-{short}",
                "recognition/tsm",
                _TSM_MM.format(mode),
                f"20220831-{tail}",
                f"top-1 / top-5 {top}, 8 clips x 10 crops",
                _TSM_CLIP,
            )
            for short, mode, tail, top in (
                ("dot", "dot-product", "108bfde5", "74.49 / 91.15"),
                ("embedded", "embedded-gaussian", "35eddb57", "74.34 / 91.23"),
                ("gaussian", "gaussian", "7e54dacf", "73.66 / 90.99"),
            )
        ),
        *(
            _mmaction2(
                f"slowonly-nl-r50.ava-mmaction2-{short}",
                "detection/slowonly",
                _AVA_MM.format(f"{short}x1"),
                f"20220906-{tail}",
                f"{mean} mAP on AVA 2.1",
                f"{short.split('x')[0]} frames, every {short.split('x')[1]}.",
                note=_AVA_NOTE,
            )
            for short, tail, mean in (("4x16", "5ae3f91b", "21.55"), ("8x8", "9760eadb", "23.77"))
        ),
        ModelCard(
            name="tsm-nl-r50.k400-mit",
            family="mit-tsm",
            trained_for=_KINETICS,
            licence="MIT",
            paper="arXiv 1811.08383",
            labels="kinetics400",
            source="https://github.com/mit-han-lab/temporal-shift-module",
            url="https://file.lzhu.me/projects/tsm/models/"
            "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense_nl.pth",
            file_name="TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense_nl.pth",
            accuracy="top-1 75.6, 10 clips x 3 crops of 256",
            input=f"8 frames, every 8.; {_IMAGENET}",
        ),
        _gluoncv(5, 50, "9df1e103d54bc1227da58d19347e1371cf98a9fb", "75.17"),
        _gluoncv(10, 50, "281e1e8a8ef78ada7e095b43caf0cd3f75e7a6a4", "75.93"),
        _gluoncv(5, 101, "2cea8edd07e5565b9c1eb66ca862ade3127ce523", "75.81"),
        _gluoncv(10, 101, "526a2ed07cffeab6d827ab28c979b537100cd2b3", "75.93"),
        ModelCard(
            name="i3d-nl-r50.k400-tushar-n",
            family="tushar-n",
            trained_for=_KINETICS,
            licence="CC-BY-NC 4.0",
            non_commercial=True,
            paper=_NON_LOCAL,
            labels="kinetics400",
            source="https://github.com/Tushar-N/pytorch-resnet3d",
            file_name="i3d_r50_nl_kinetics.pth",
            accuracy="that of i3d-nl-r50.k400-caffe2-32x2, of which it is a conversion",
            input=f"32 frames, every 2.; {_GREY}",
            note="It is not offered for download: its repository makes it from the file of "
            "i3d-nl-r50.k400-caffe2-32x2.",
        ),
    )
}
