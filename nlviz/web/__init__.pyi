from .bundle import ATLAS as ATLAS
from .bundle import LENS as LENS
from .bundle import LINKED as LINKED
from .bundle import LIVE_VIEW as LIVE_VIEW
from .bundle import SURVEY as SURVEY
from .bundle import Script as Script
from .bundled_view import FirstView as FirstView
from .bundled_view import first_view as first_view
from .language import LANGUAGES as LANGUAGES
from .language import language_of as language_of
from .language import translations as translations
from .lesson_pages import Lesson as Lesson
from .lesson_pages import lesson as lesson
from .lesson_pages import lessons as lessons
from .payloads.atlas import atlas_payload as atlas_payload
from .payloads.container import unpack as unpack
from .payloads.denoise_view import denoise_view as denoise_view
from .payloads.lens import LensPicture as LensPicture
from .payloads.lens import lens_payload as lens_payload
from .payloads.linked import linked_view as linked_view
from .payloads.live_view import live_view as live_view
from .payloads.survey import survey_payload as survey_payload
from .survey_page import report_page as report_page

__all__: list[str]
