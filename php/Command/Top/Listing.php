<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * Which entry of a list is selected, and which part of it fits on the screen.
 *
 * @internal
 */
final class Listing
{
    private int $selected = 0;
    private int $first = 0;
    private int $height = 1;

    public function selected(): int
    {
        return $this->selected;
    }

    public function select(int $index): void
    {
        $this->selected = max(0, $index);
    }

    /** @return bool false: the key does not move */
    public function key(string $key, int $count): bool
    {
        $to = match ($key) {
            'up', 'k' => $this->selected - 1,
            'down', 'j' => $this->selected + 1,
            'page-up' => $this->selected - $this->height,
            'page-down' => $this->selected + $this->height,
            'home' => 0,
            'end' => $count - 1,
            default => null,
        };
        if ($to === null) {
            return false;
        }
        $this->selected = max(0, min($to, $count - 1));

        return true;
    }

    /** @return array{int, int} the first entry that is shown, and the one after the last */
    public function window(int $count, int $height): array
    {
        $this->height = max(1, $height);
        $this->selected = max(0, min($this->selected, $count - 1));
        $first = min($this->first, $this->selected);
        $first = max($first, $this->selected - $this->height + 1);
        $this->first = max(0, min($first, $count - $this->height));

        return [$this->first, min($count, $this->first + $this->height)];
    }
}
