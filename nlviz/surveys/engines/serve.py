"""What a worker's process does: ``python -m nlviz.surveys.engines.serve``, started by ``local``.

It reads items from its standard input and answers on what was its standard output. When the other
end closes, its parent is gone, and it ends at once, whatever it is doing.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import queue
import sys
import threading
from collections.abc import Iterator

from nlviz.surveys.engines.messages import Ended, Hello, Sorry, receive, send
from nlviz.surveys.item import Item

_GONE, _DONE = 3, 0  # exit codes: the parent is gone; all is done


def main() -> None:
    """Do what the parent says, until it says that this was all."""
    faulthandler.enable()
    given, answers = 0, os.dup(1)
    os.dup2(2, 1)  # what a network prints is no message
    hello = receive(given)
    assert isinstance(hello, Hello)
    os.environ.update(hello.environment)
    sys.path[:] = hello.path
    try:
        _serve(hello, given, answers)
    except Ended:
        os._exit(_GONE)
    sys.stderr.flush()
    os._exit(_DONE)  # without the seconds that large libraries take to end


def _serve(hello: Hello, given: int, answers: int) -> None:
    items: queue.SimpleQueue[Item | None] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                items.put(receive(given))
        except Ended:
            os._exit(_GONE)

    threading.Thread(target=listen, name="items", daemon=True).start()
    from nlviz.errors import NlvizError
    from nlviz.surveys.worker import Worker, sentence_of

    try:
        job = pickle.loads(hello.job)
        import torch

        torch.set_num_threads(job.options.threads)
        worker = Worker(job)
    except (NlvizError, Exception) as error:
        send(answers, Sorry(sentence_of(error)))
        return
    send(answers, worker.ready)

    def given_items() -> Iterator[Item]:
        while (item := items.get()) is not None:
            yield item

    for done in worker.over(given_items()):
        send(answers, done)


if __name__ == "__main__":
    main()
