<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * What a page can have done.
 *
 * @internal
 */
interface Desk
{
    public function open(Page $page): void;

    /** To the page before; from the first one, nothing. */
    public function back(): void;

    public function quit(): void;

    /** Asks for all figures now. */
    public function refresh(): void;

    /** @return float the new interval in seconds */
    public function changeInterval(float $factor): float;

    /** Shows it in the last line, until the next key. */
    public function say(string $text, bool $isBad = false): void;

    /** @param callable(): void $yes */
    public function confirm(string $question, callable $yes): void;

    /**
     * Has it done while the screen goes on. An error is said.
     *
     * @param array{do: string, queue: string, id?: string} $request
     * @param string $doing what is said until it is done
     * @param callable(mixed): void $then is given the result
     */
    public function act(array $request, string $doing, callable $then): void;
}
