/** Examples for `--help` and docs/reference/cli.md. */
export const commandExamples = {
  simulate: [
    "tidegate simulate --ledger ledger",
    "tidegate simulate --devices 10000 --connections 1000 --rate 16700 --duration 60 --ledger ledger",
    "tidegate simulate --format envelope --faults disconnect,duplicate,poison=0.01 --seed 7 --ledger ledger-2",
    "tidegate simulate --devices 500 --connections 500 --username plant-1 --password-file key.txt --topic 'plant/{device}/engine' --ledger ledger-3",
    "tidegate simulate --mix all --faults all --topic 'plant/{device}/{part}' --api http://127.0.0.1:8080 --token-file data/api-token --ledger ledger-4",
  ],
  audit: [
    "tidegate audit --ledger ledger --lake file:data/lake",
    "tidegate audit --ledger ledger --lake file:data/lake --wait 600 --json",
  ],
  prove: [
    "tidegate prove --rounds 30 --seed 1",
    "tidegate prove --stream redis: --window redis: --rounds 30",
    "tidegate prove --stream kinesis: --lake s3: --rounds 30",
    "tidegate prove --only clock,tables --rounds 6",
    "tidegate prove --only clients --rounds 6",
  ],
} as const;

export function examplesText(command: keyof typeof commandExamples): string {
  return ["Examples:", ...commandExamples[command].map((example) => `  ${example}`)].join("\n");
}
