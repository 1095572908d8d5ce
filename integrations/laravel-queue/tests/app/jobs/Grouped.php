<?php

declare(strict_types=1);

namespace App\Jobs;

/** A job of a session: the first part of its text. */
class Grouped extends Note
{
    /** @return array<string, mixed> */
    public function amqp1Options(): array
    {
        return ['group' => explode('-', $this->text)[0]];
    }
}
