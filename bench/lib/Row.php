<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** A row of the report: what was measured, with which clients, in some rounds. */
final class Row
{
    /** @var array<string, list<array<string, int|float|null>>> client => its rounds => key => figure */
    public array $rounds = [];

    /** @var list<float> the machine's load after each round */
    public array $load = [];

    /** Why it was not measured to its end. */
    public ?string $failure = null;

    /** @var list<string> why a client or a figure is missing */
    public array $leftOut = [];

    /**
     * @param string $id such as "prefetch/10"; what comes before "/" is its group
     * @param string $ours the client that is judged
     * @param string $reference the client that it is compared with
     * @param list<Metric> $metrics
     * @param float|null $at where the row is on a picture's axis: its prefetch, its size in octets
     */
    public function __construct(
        public readonly string $id,
        public readonly string $title,
        public readonly string $ours,
        public readonly string $reference,
        public readonly array $metrics,
        public readonly ?float $at = null,
    ) {
    }

    public function group(): string
    {
        return explode('/', $this->id)[0];
    }

    /** @param array<string, int|float|null> $figures */
    public function add(string $client, array $figures): void
    {
        $this->rounds[$client][] = $figures;
    }

    public function leaveOut(string $why): void
    {
        if (!in_array($why, $this->leftOut, true)) {
            $this->leftOut[] = $why;
        }
    }

    /** @return list<string> the clients that were measured: ours, the reference, the others */
    public function clients(): array
    {
        $first = array_intersect([$this->ours, $this->reference], array_keys($this->rounds));

        return [...$first, ...array_diff(array_keys($this->rounds), $first)];
    }

    /** @return list<int|float> the figures of all rounds that have one */
    private function figures(string $client, string $key): array
    {
        return array_values(array_filter(array_column($this->rounds[$client] ?? [], $key), 'is_numeric'));
    }

    /** The median of the rounds; null if the client has no such figure. */
    public function figure(string $client, string $key): ?float
    {
        $figures = $this->figures($client, $key);

        return $figures === [] ? null : Statistics::median($figures);
    }

    /**
     * Our figure divided by another client's, by default the reference's.
     *
     * @return array{median: float, least: float, most: float}|null null if one of them is missing
     */
    public function ratio(string $key, ?string $to = null): ?array
    {
        $ratios = Statistics::ratios($this->figures($this->ours, $key), $this->figures($to ?? $this->reference, $key));

        return $ratios === [] ? null : ['median' => Statistics::median($ratios), 'least' => min($ratios), 'most' => max($ratios)];
    }

    /** Is the target met? null if there is none, or nothing to judge. */
    public function isMet(Metric $metric): ?bool
    {
        if ($metric->target === null) {
            return null;
        }
        $value = $metric->target->ofRatio ? $this->ratio($metric->key)['median'] ?? null : $this->figure($this->ours, $metric->key);

        return $value === null ? null : $metric->target->isMetBy($value);
    }

    /** @return list<string> the units of the figures that miss their target */
    public function missed(): array
    {
        return array_values(array_map(
            static fn (Metric $metric) => $metric->unit,
            array_filter($this->metrics, fn (Metric $metric) => $this->isMet($metric) === false)
        ));
    }

    /** @return array<string, mixed> */
    public function toArray(): array
    {
        return ['metrics' => array_map(static fn (Metric $metric) => $metric->toArray(), $this->metrics)] + get_object_vars($this);
    }

    /** @param array<string, mixed> $data */
    public static function fromArray(array $data): self
    {
        $row = new self($data['id'], $data['title'], $data['ours'], $data['reference'], array_map(Metric::fromArray(...), $data['metrics']), $data['at']);
        [$row->rounds, $row->load, $row->leftOut] = [$data['rounds'], $data['load'], $data['leftOut']];
        $row->failure = $data['failure'] ?? null;

        return $row;
    }
}
