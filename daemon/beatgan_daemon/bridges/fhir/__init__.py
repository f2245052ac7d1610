"""The ECG strip of an alarm as an HL7 FHIR Observation."""
