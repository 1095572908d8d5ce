<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\Screen\Line;

/**
 * What the screen shows, and what its keys do.
 *
 * @internal
 */
interface Page
{
    /**
     * @param float $now as Watch has it
     *
     * @return list<Line> at most $rows
     */
    public function lines(int $columns, int $rows, float $now): array;

    /** @param string $key as Keys names it */
    public function key(string $key): void;

    /** @return list<string> "key what it does", the most needed first */
    public function hints(): array;
}
