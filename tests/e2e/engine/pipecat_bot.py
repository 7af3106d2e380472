"""A bot of stock Pipecat parts: its runner, SmallWebRTC, RTVI, voice activity detection and context aggregators. Only what needs a network or a key
elsewhere is a stand-in: pocketsphinx hears, flite speaks, and the model is a list of keywords.

    python pipecat_bot.py

reads lines `{"port", "told", "log"}` and begins a bot for each, which notes at `told` what it was told: answers with the number of its process. They are
forks of this one, because Pipecat takes seconds of a processor to import. Ends with its input.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile

import pipecat.transports.smallwebrtc.request_handler
import pipecat.transports.smallwebrtc.transport  # noqa: F401
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    ErrorFrame,
    FunctionCallFromLLM,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import create_transport
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

ANSWERS = [
    ("hours", "We are open from nine to five. On Sunday we are closed."),
    ("long", " ".join(f"This is sentence number {n} of a long story." for n in range(1, 13))),
    ("before", None),
]


# In a process of its own: the decoder holds Python's lock, and a bot that stands still for seconds sends its sound in one burst afterwards.
RECOGNISE = """
import sys, pocketsphinx
decoder = pocketsphinx.Decoder(samprate=16000, loglevel="FATAL")
decoder.start_utt()
decoder.process_raw(sys.stdin.buffer.read(), full_utt=True)
decoder.end_utt()
found = decoder.hyp()
print(found.hypstr if found else "")
"""
# Of a WAV file as flite writes it.
HEADER = 44


async def run(*command, given=None):
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    said, _ = await process.communicate(given)
    return said


class Ears(SegmentedSTTService):
    def __init__(self):
        super().__init__(sample_rate=16_000)

    @property
    def wants_wav_segments(self):
        return False

    async def run_stt(self, audio):
        words = (await run(sys.executable, "-c", RECOGNISE, given=audio)).decode().strip()
        if words:
            yield TranscriptionFrame(words, "", time_now_iso8601())


class Mouth(TTSService):
    def __init__(self):
        super().__init__(sample_rate=16_000, push_start_frame=True, push_stop_frames=True)

    async def run_tts(self, text, context_id):
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            await run("flite", "-voice", "slt", "-t", text, "-o", file.name)
            audio = file.read()[HEADER:]

        async def pieces():
            for at in range(0, len(audio), 3_200):
                yield audio[at : at + 3_200]

        async for frame in self._stream_audio_frames_from_iterator(
            pieces(), in_sample_rate=16_000, context_id=context_id
        ):
            yield frame


class Model(FrameProcessor):
    """Keywords → an answer, word by word, as a model streams it."""

    def __init__(self, told):
        super().__init__()
        self.told = told
        self.writing = None
        self.silent = asyncio.Event()

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self.stop()
            asked = [m["content"] for m in frame.context.get_messages() if m.get("role") == "user"]
            self.writing = self.create_task(self.answer(str(asked[-1])))
            return
        if isinstance(frame, InterruptionFrame):
            await self.stop()
        if isinstance(frame, BotStoppedSpeakingFrame):
            self.silent.set()
        await self.push_frame(frame, direction)

    async def stop(self):
        if self.writing:
            await self.cancel_task(self.writing)
            self.writing = None

    async def answer(self, question):
        known = [answer for word, answer in ANSWERS if word in question.lower()]
        answer = known[0] if known else f"You said: {question}"
        if answer is None:
            answer = f"I was told {len(self.told.get('messages', []))} lines and to {self.told.get('instruction')}"
        if "fall over" in question:
            return await self.fail(fatal=True)
        if "stumble" in question:
            await self.fail(fatal=False)
        if "order" in question:
            answer = await self.look_up()
        await self.write(answer)

    async def write(self, answer):
        await self.push_frame(LLMFullResponseStartFrame())
        for word in answer.split(" "):
            await self.push_frame(LLMTextFrame(word + " "))
        await self.push_frame(LLMFullResponseEndFrame())

    async def look_up(self):
        """A tool that takes a while, after a word about it."""
        self.silent.clear()
        await self.write("One moment.")
        await self.silent.wait()
        call = {"function_name": "order_status", "tool_call_id": "call_1", "arguments": {"order": 1815}}
        await self.push_frame(FunctionCallsStartedFrame([FunctionCallFromLLM(**call, context=None)]))
        await self.push_frame(FunctionCallInProgressFrame(**call))
        await asyncio.sleep(3)
        await self.push_frame(FunctionCallResultFrame(**call, result="on its way"))
        return "It is on its way."

    async def fail(self, fatal):
        await self.push_frame(ErrorFrame("the model has gone", fatal=fatal), FrameDirection.UPSTREAM)


async def bot(runner_args):
    told = runner_args.body or {}
    with open(os.environ["BOT_TOLD"], "w", encoding="utf-8") as file:
        json.dump(told, file)
    transports = {"webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True)}
    transport = await create_transport(runner_args, transports)
    context = LLMContext(list(told.get("messages", [])))
    # On a machine that is busy with other things the words come after their turn. That is then not answered, and the words are.
    params = LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer(), empty_user_turn=None)
    pair = LLMContextAggregatorPair(context, user_params=params)
    steps = [transport.input(), Ears(), pair.user(), Model(told), Mouth(), transport.output(), pair.assistant()]
    worker = PipelineWorker(Pipeline(steps), params=PipelineParams(enable_metrics=False))

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        print("bot: its client has gone", flush=True)
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def begin(wanted, main):
    """In the fork: a bot, as `python pipecat_bot.py -t webrtc …` would be one."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ["BOT_TOLD"] = wanted["told"]
    sys.argv[1:] = ["-t", "webrtc", "--host", "127.0.0.1", "--port", str(wanted["port"])]
    main()


if __name__ == "__main__":
    from pipecat.runner.run import main

    # Nobody waits for the bots: the system buries them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while line := sys.stdin.readline():
        if fork := os.fork():
            print(fork, flush=True)
            continue
        try:
            begin(json.loads(line), main)
        finally:
            sys.stdout.flush()
            os._exit(1)
