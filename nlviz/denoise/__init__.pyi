from .affinities import affinity as affinity
from .comparison.curves import effective_number_over_h as effective_number_over_h
from .comparison.curves import psnr_over_sigma as psnr_over_sigma
from .comparison.oracle import oracle as oracle
from .comparison.run import Comparison as Comparison
from .comparison.run import compare as compare
from .noise import Noise as Noise
from .noise import add_noise as add_noise
from .noise import estimate_sigma as estimate_sigma
from .quality import method_noise as method_noise
from .quality import psnr as psnr
from .quality import ssim as ssim
from .registry import denoise as denoise
from .registry import denoise_clip as denoise_clip
from .registry import list_clip_denoisers as list_clip_denoisers
from .registry import list_denoisers as list_denoisers
from .weighted_means import non_local_means as non_local_means
from .weighted_means import non_local_means_of_clip as non_local_means_of_clip

__all__: list[str]
