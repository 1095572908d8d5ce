<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** What a figure must reach: a limit for its ratio to the reference, or for the figure itself. */
final class Target
{
    private function __construct(
        public readonly bool $atLeast,
        public readonly float $limit,
        public readonly bool $ofRatio,
    ) {
    }

    public static function ratioAtLeast(float $limit): self
    {
        return new self(true, $limit, true);
    }

    public static function ratioAtMost(float $limit): self
    {
        return new self(false, $limit, true);
    }

    /** A limit for amqp1's own figure, whatever the reference's is. */
    public static function atMost(float $limit): self
    {
        return new self(false, $limit, false);
    }

    /** Compared as printed, with two digits: 0.996 is 1.00. */
    public function isMetBy(float $value): bool
    {
        return $this->atLeast ? round($value, 2) >= $this->limit : round($value, 2) <= $this->limit;
    }

    public function __toString(): string
    {
        return ($this->atLeast ? '≥ ' : '≤ ') . rtrim(rtrim(number_format($this->limit, 2), '0'), '.');
    }

    /** @return array{atLeast: bool, limit: float, ofRatio: bool} */
    public function toArray(): array
    {
        return get_object_vars($this);
    }

    /** @param array{atLeast: bool, limit: int|float, ofRatio: bool} $data */
    public static function fromArray(array $data): self
    {
        return new self($data['atLeast'], (float) $data['limit'], $data['ofRatio']);
    }
}
