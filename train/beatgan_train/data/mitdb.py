"""The records of the MIT-BIH Arrhythmia Database, and how the field divides them."""

# The inter-patient division of the MIT-BIH database by de Chazal, O'Dwyer & Reilly (2004): DS1 to
# train on, DS2 to test on, the four paced records in neither. Records 201 (DS1) and 202 (DS2) are
# of one and the same man: DS2 holds 21 patients that DS1 has not seen, and one that it has.
# fmt: off
DS1 = (
    "101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122",
    "124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230",
)
DS2 = (
    "100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210",
    "212", "213", "214", "219", "221", "222", "228", "231", "232", "233", "234",
)
# fmt: on
PACED = ("102", "104", "107", "217")

# The only patient with two records; and nstdb's records, which are two of these with noise added.
PATIENT_OF = {"202": "201"} | {
    f"{record}e{snr}": record
    for record in ("118", "119")
    for snr in ("24", "18", "12", "06", "00", "_6")
}
HARD = "232"  # has three quarters of DS2's S beats, most of its own: reported with and without
