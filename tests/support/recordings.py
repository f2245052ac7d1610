"""Recordings in every format that is read, as the devices write them: synthetic, of nobody.

Each writer is given leads in millivolt and returns the path. Where a format has a place for what
tells of a patient, `PERSONAL` stands in it, so that a test can see that it goes nowhere.
"""

import base64
import json
import re
import struct
from binascii import crc_hqx
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beatgan.types import Doubles

PERSONAL = ("Mustermann", "Erika", "ID-4711", "1957-08-13", "19570813", "13.08.1957")
START = datetime(2026, 1, 31, 12, 0, 0)
WAVES = (  # s from the R wave's apex, mV, s
    *((-0.2, 0.15, 0.025), (-0.025, -0.12, 0.010), (0, 1.1, 0.011)),
    *((0.028, -0.25, 0.012), (0.25, 0.3, 0.045)),
)
STANDARD = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def ecg(seconds: float, fs: float, size: float = 1.0) -> Doubles:
    """One lead in millivolt, 70 beats a minute: P, Q, R, S, T."""
    t = np.arange(round(seconds * fs)) / fs
    y = np.zeros(len(t))
    for beat in np.arange(0.5, seconds, 60 / 70):
        for delay, height, width in WAVES:
            y += size * height * np.exp(-0.5 * ((t - beat - delay) / width) ** 2)
    return y


def twelve(seconds: float, fs: float) -> dict[str, Doubles]:
    """The standard leads, each of another size."""
    return {name: ecg(seconds, fs, 0.5 + 0.1 * k) for k, name in enumerate(STANDARD)}


# --- text


def write_apple_watch(path: Path, lead: Doubles, fs: float, *, german: bool = False) -> Path:
    """As Apple Health exports it, in English or in German."""
    keys = ("Name", "Date of Birth", "Recorded Date", "Classification", "Symptoms",
            "Software Version", "Device", "Sample Rate", "Lead", "Unit")  # fmt: skip
    values = [f"{PERSONAL[1]} {PERSONAL[0]}", PERSONAL[3], f"{START} +0000", "Sinus Rhythm", "",
              "1.90", '"Watch6,2"', f"{fs:.3f} hertz", "Lead I", "µV"]  # fmt: skip
    samples = [f"{1000 * x:.3f}" for x in lead]
    if german:
        keys = ("Name", "Geburtstag", "Aufzeichnungsdatum", "Klassifizierung", "Symptome",
                "Softwareversion", "Gerät", "Messrate", "Ableitung", "Einheit")  # fmt: skip
        values[1], values[3] = PERSONAL[5], "Sinusrhythmus"
        values[7], values[8] = f"{fs:.3f}\xa0hertz".replace(".", ","), "Ableitung I"
        samples = [sample.replace(".", ",") for sample in samples]
    head = [f"{key},{value}" for key, value in zip(keys, values, strict=True)]
    lines = [*head[:8], "", "", *head[8:], "", *samples]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_polar(path: Path, lead: Doubles, fs: float) -> Path:
    """As Polar Sensor Logger writes it: the phone's clock, the sensor's, and times from 0."""
    first = 838_432_586_543_515_816
    rows = []
    for k, x in enumerate(lead):
        phone = (START + timedelta(seconds=k / fs)).isoformat(timespec="milliseconds")
        ns = round(k / fs * 1e9)
        rows.append(f"{phone};{first + ns};{ns / 1e6:.6f};{round(1000 * x)}")
    head = "Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]\n"
    path.write_text(head + "\n".join(rows) + "\n")
    return path


def write_opensignals(path: Path, lead: Doubles, fs: float, *, device: str = "bitalino") -> Path:
    """As OpenSignals writes what a BITalino or a biosignalsplux sends."""
    if device == "bitalino":
        bits, supply, gain = 10, 3.3, 1100
        columns = ["nSeq", "I1", "I2", "O1", "O2", "A1", "A2"]
        facts: dict[str, Any] = {"sensor": ["EDA", "ECG"], "resolution": [4, 1, 1, 1, 1, 10, 10]}
        around, others = 16, [1, 1, 0, 0, 400]
    else:
        bits, supply, gain = 16, 3.0, 1000
        columns = ["nSeq", "DI", "CH1", "CH2"]
        facts = {"sensor": ["EDA", "ECG"], "resolution": [16, 16], "device": "biosignalsplux"}
        around, others = 65_536, [0, 30_000]
    counts = np.rint((lead / 1000 * gain / supply + 0.5) * 2**bits).astype(int)
    facts |= {
        "column": columns, "label": columns[-2:], "channels": [1, 2], "sampling rate": round(fs),
        "date": "2026-1-31", "time": "12:0:0.0", "comments": PERSONAL[0], "device name": "x",
    }  # fmt: skip
    head = f"# OpenSignals Text File Format\n# {json.dumps({'20:16': facts})}\n# EndOfHeader\n"
    middle = "\t".join(map(str, others))
    rows = "".join(f"{k % around}\t{middle}\t{c}\t\n" for k, c in enumerate(counts))
    path.write_text(head + rows)
    return path


def write_biosppy(path: Path, lead: Doubles, fs: float) -> Path:
    """As BioSPPy's example is: counts of 12 bits."""
    head = f"# Simple Text Format\n# Sampling Rate (Hz):= {fs:.2f}\n# Resolution:= 12\n"
    rows = "".join(f"{round(2048 + 400 * x)}\n" for x in lead)
    path.write_text(f"{head}# Labels:= ECG\n{rows}")
    return path


# --- XML


def write_aecg(path: Path, leads: Mapping[str, Doubles], fs: float) -> Path:
    """HL7 aECG: one rhythm series with 5 µV steps, and the mean beat that was computed of it."""
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    time = (
        '<component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS">'
        f'<head value="{START:%Y%m%d%H%M%S}.000"/><increment value="{1 / fs:g}" unit="s"/></value>'
        "</sequence></component>"
    )
    sequences = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{name.upper()}"/>'
        '<value xsi:type="SLIST_PQ"><origin value="0" unit="uV"/><scale value="5" unit="uV"/>'
        f"<digits>{' '.join(str(round(200 * x)) for x in lead)}</digits></value></sequence>"
        "</component>"
        for name, lead in leads.items()
    )
    body = f"<component><sequenceSet>{time}{sequences}</sequenceSet></component>"
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<AnnotatedECG xmlns="urn:hl7-org:v3" {xsi}>'
        f'<subject><id extension="{PERSONAL[2]}"/><name>{PERSONAL[0]}</name>'
        f'<birthTime value="{PERSONAL[4]}"/></subject>'
        f'<component><series><code code="RHYTHM"/>{body}<derivation><derivedSeries>'
        f'<code code="REPRESENTATIVE_BEAT"/>{body}</derivedSeries></derivation></series>'
        "</component></AnnotatedECG>\n"
    )
    return path


def write_muse(path: Path, leads: Mapping[str, Doubles], fs: float) -> Path:
    """GE MUSE: a rhythm and a median beat with 4.88 µV steps, as restecg.dtd orders it."""
    kinds = {"Median": {n: x[: len(x) // 8] for n, x in leads.items()}, "Rhythm": leads}
    waveforms = ""
    for kind, its in kinds.items():
        waveforms += (
            f"<Waveform><WaveformType>{kind}</WaveformType><WaveformStartTime>0"
            f"</WaveformStartTime><NumberofLeads>{len(its)}</NumberofLeads>"
            f"<SampleBase>{fs:g}</SampleBase><SampleExponent>0</SampleExponent>"
        )
        for name, lead in its.items():
            counts = np.rint(lead * 1000 / 4.88).astype("<i2").tobytes()
            waveforms += (
                f"<LeadData><LeadByteCountTotal>{len(counts)}</LeadByteCountTotal>"
                f"<LeadTimeOffset>0</LeadTimeOffset><LeadSampleCountTotal>{len(lead)}"
                "</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit>"
                "<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>"
                f"<LeadID>{name}</LeadID><LeadSampleSize>2</LeadSampleSize><LeadOff>FALSE</LeadOff>"
                f"<WaveFormData>\n{_wrapped(counts)}\n</WaveFormData></LeadData>"
            )
        waveforms += "</Waveform>"
    path.write_text(
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n'
        f"<RestingECG><PatientDemographics><PatientID>{PERSONAL[2]}</PatientID>"
        f"<PatientLastName>{PERSONAL[0]}</PatientLastName></PatientDemographics>"
        f"<TestDemographics><AcquisitionTime>{START:%H:%M:%S}</AcquisitionTime>"
        f"<AcquisitionDate>{START:%m-%d-%Y}</AcquisitionDate></TestDemographics>"
        f"{waveforms}</RestingECG>\n",
        encoding="latin-1",
    )
    return path


def write_sierra(path: Path, leads: Mapping[str, Doubles], fs: float) -> Path:
    """Philips' PageWriter: twelve leads with 5 µV steps, packed by XLI."""
    steps = {name: np.rint(lead * 200).astype(np.int64) for name, lead in leads.items()}
    i, ii, iii, avr, avl, avf = (steps[name] for name in STANDARD[:6])
    kept = steps | {
        "III": ii - i - iii,
        "aVR": -avr - (i + ii) // 2,
        "aVL": (i - iii) // 2 - avl,
        "aVF": (ii + iii) // 2 - avf,
    }
    packed = b"".join(_xli(kept[name]) for name in STANDARD)
    duration = round(len(i) / fs * 1000)
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo><documenttype>'
        "PhilipsECG</documenttype><documentversion>1.04</documentversion></documentinfo>"
        f'<dataacquisition date="{START:%Y-%m-%d}" time="{START:%H:%M:%S}">'
        f"<signalcharacteristics><samplingrate>{fs:g}</samplingrate><resolution>5</resolution>"
        "<acquisitiontype>10-WIRE</acquisitiontype></signalcharacteristics></dataacquisition>"
        f"<patient><generalpatientdata><patientid>{PERSONAL[2]}</patientid><name><lastname>"
        f"{PERSONAL[0]}</lastname></name><age><dateofbirth>{PERSONAL[3]}</dateofbirth></age>"
        "</generalpatientdata></patient><waveforms>"
        '<parsedwaveforms dataencoding="Base64" compression="XLI" numberofleads="12" '
        f'leadlabels="{" ".join(STANDARD)}" durationperchannel="{duration}">\n{_wrapped(packed)}\n'
        "</parsedwaveforms></waveforms></restingecgdata>\n"
    )
    return path


def _wrapped(content: bytes) -> str:
    text = base64.b64encode(content).decode()
    return "\n".join(text[k : k + 76] for k in range(0, len(text), 76))


def _xli(samples: NDArray[np.int64]) -> bytes:
    """One lead as PageWriter packs it: second differences, their bytes apart, then LZW."""
    words = samples.copy()
    words[2:-1] = 2 * samples[2:-1] - samples[1:-2] - samples[3:] + 64
    words[-1] = 64
    first = int(2 * samples[1] - samples[0] - samples[2])
    body = (words & 0xFFFF).astype(">u2").tobytes()
    packed = _lzw(body[::2] + body[1::2])
    return struct.pack("<ihh", len(packed), 1, first) + packed


def _lzw(content: bytes, bits: int = 10) -> bytes:
    table = {bytes([k]): k for k in range(256)}
    codes, known = [], b""
    for k in range(len(content)):
        longer = known + content[k : k + 1]
        if longer in table:
            known = longer
            continue
        codes.append(table[known])
        if len(table) <= (1 << bits) - 2:
            table[longer] = len(table)
        known = content[k : k + 1]
    codes.append(table[known])
    text = "".join(f"{code:0{bits}b}" for code in codes)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


# --- binary


def write_ishne(
    path: Path, leads: Mapping[str, Doubles], fs: int, *, per_lead: bool = True
) -> Path:
    """ISHNE, 1000 nV a step; ``per_lead`` tells which of the two counts of samples is written."""
    codes = {name: 5 + k for k, name in enumerate(STANDARD)}
    header = bytearray(522)
    length = len(next(iter(leads.values())))
    struct.pack_into("<4i", header, 10, 0, length * (1 if per_lead else len(leads)), 522, 522)
    struct.pack_into(
        "<h40s40s20s", header, 26, 1, *(p.encode() for p in PERSONAL[1::-1]), b"ID-4711"
    )
    struct.pack_into("<2h3h3h", header, 128, 1, 1, 13, 8, 1957, START.day, START.month, START.year)
    struct.pack_into("<3h", header, 150, START.hour, START.minute, START.second)
    struct.pack_into("<h", header, 156, len(leads))
    for k, name in enumerate(leads):
        struct.pack_into("<h", header, 158 + 2 * k, codes[name])
        struct.pack_into("<h", header, 206 + 2 * k, 1000)
    struct.pack_into("<h", header, 272, fs)
    checksum = struct.pack("<H", crc_hqx(bytes(header[10:]), 0xFFFF))
    samples = np.rint(np.stack(list(leads.values()), axis=1) * 1000).astype("<i2").tobytes()
    path.write_bytes(b"ISHNE1.0" + checksum + bytes(header[10:]) + samples)
    return path


def write_dicom(path: Path, leads: Mapping[str, Doubles], fs: float) -> Path:
    """A 12-lead ECG as DICOM: the rhythm with 2.5 µV steps, and a median beat behind it."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    def group(rows: Mapping[str, Doubles], originality: str) -> Dataset:
        found = Dataset()
        found.WaveformOriginality = originality
        found.NumberOfWaveformChannels = len(rows)
        found.NumberOfWaveformSamples = len(next(iter(rows.values())))
        found.SamplingFrequency = fs
        found.WaveformBitsAllocated = 16
        found.WaveformSampleInterpretation = "SS"
        found.ChannelDefinitionSequence = [_channel(name) for name in rows]
        steps = np.rint(np.stack(list(rows.values()), axis=1) * 400).astype("<i2")
        found.WaveformData = steps.tobytes()
        return found

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.9.1.1")
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["beatgan"])
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.PatientName = f"{PERSONAL[0]}^{PERSONAL[1]}"
    dataset.PatientID, dataset.PatientBirthDate = PERSONAL[2], PERSONAL[4]
    dataset.Modality = "ECG"
    dataset.AcquisitionDateTime = f"{START:%Y%m%d%H%M%S}"
    median = {name: lead[: len(lead) // 8] for name, lead in leads.items()}
    dataset.WaveformSequence = [group(leads, "ORIGINAL"), group(median, "DERIVED")]
    dataset.save_as(path, enforce_file_format=True)
    return path


def _channel(name: str) -> Any:
    from pydicom.dataset import Dataset

    channel, source, unit = Dataset(), Dataset(), Dataset()
    numbers = dict(zip(STANDARD, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))
    source.CodeValue, source.CodingSchemeDesignator = f"5.6.3-9-{numbers[name]}", "SCPECG"
    source.CodeMeaning = f"Ableitung {name}"
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "uV", "UCUM", "microvolt"
    channel.ChannelSourceSequence = [source]
    channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = "2.5", "1"
    channel.ChannelBaseline = "0"
    channel.ChannelSensitivityUnitsSequence = [unit]
    channel.WaveformBitsStored = 16
    return channel


def write_edf(path: Path, lead: Doubles, fs: float, *, pause_s: int = 0) -> Path:
    """EDF+ or BDF+, by the name, or with a pause in its middle EDF+D; one second a data record."""
    from edfio import Bdf, BdfSignal, Edf, EdfAnnotation, EdfSignal, Patient

    kinds: Any = (Bdf, BdfSignal) if path.suffix == ".bdf" else (Edf, EdfSignal)
    signal = kinds[1](lead, fs, label="ECG II", physical_dimension="mV", physical_range=(-5, 5))
    patient = Patient(code=PERSONAL[2], name=PERSONAL[0])
    edf = kinds[0]([signal], patient=patient, annotations=[EdfAnnotation(0, None, "start")])
    edf.startdate, edf.starttime = START.date(), START.time()
    edf.write(path)
    return interrupted(path, pause_s) if pause_s else path


def interrupted(path: Path, pause_s: int) -> Path:
    """The EDF+ at ``path`` with its second half later, as a recorder that was paused writes it."""
    content = bytearray(path.read_bytes())
    content[192:197] = b"EDF+D"
    header, records = int(content[184:192]), int(content[236:244])
    size = (len(content) - header) // records
    for k in range(records // 2, records):
        at = header + k * size
        record = content[at : at + size]
        found = re.search(rb"\+(\d+)\x14\x14", record)
        assert found
        later = b"+%d\x14\x14" % (int(found[1]) + pause_s)
        tail = record[found.end() :] + bytes(8)
        content[at + found.start() : at + size] = (later + tail)[: size - found.start()]
    path.write_bytes(content)
    return path
