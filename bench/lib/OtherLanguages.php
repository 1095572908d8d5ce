<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** The clients in Go and Java (bench/go, bench/java), for FULL=1. A client that cannot be built here is left out. */
final class OtherLanguages
{
    /** Why a client cannot be used here; null if it can, or if it is one of PHP's. */
    public static function missing(string $client): ?string
    {
        return null;
    }

    /** @return list<string> the program, without its task */
    public static function command(string $client): array
    {
        return [];
    }
}
